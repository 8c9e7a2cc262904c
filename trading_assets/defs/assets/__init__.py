"""The assets, one module a group, in the order in which data flows; `PIPELINE` has all of them."""

from trading_assets.defs.assets import bars as bars  # noqa: I001 - the order of the flow
from trading_assets.defs.assets import features as features
from trading_assets.defs.assets import folds as folds
from trading_assets.defs.assets import forecasters as forecasters
from trading_assets.defs.assets import calibrators as calibrators
from trading_assets.defs.assets import embeddings as embeddings
from trading_assets.defs.assets import agents as agents
from trading_assets.defs.assets import hybrids as hybrids
from trading_assets.defs.assets import ensembles as ensembles
from trading_assets.defs.assets import bundles as bundles
from trading_assets.defs.assets import reports as reports
from trading_assets.defs.pipeline import PIPELINE as PIPELINE

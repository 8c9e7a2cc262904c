"""A plug-in: a fourth kind of forecaster. Name this module in `TRADING_ASSETS_PLUGINS`."""

import tests.plugins.toy_form  # noqa: F401 - registers how it runs in a bundle
from trading_assets.config.forecasters import register_forecaster
from trading_assets.config.section import Positive
from trading_assets.config.settings import ForecasterSettings


class ToySettings(ForecasterSettings):
    """The section `toy:` of a profile."""

    C: Positive = 0.01
    """Inverse of the penalty on the coefficients."""


register_forecaster(
    "toy",
    "tests.plugins.toy_forecaster:ToyForecaster",
    ToySettings,
    description="Logistic regression on one bar's features.",
    libraries=("scikitlearn",),
)

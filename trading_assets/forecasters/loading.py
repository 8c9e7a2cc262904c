"""A kind of forecaster by its name, and a fitted one by its folder."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.config.forecasters import forecaster_kinds
from trading_assets.errors import ArtifactError, SettingsError

if TYPE_CHECKING:
    from trading_assets.forecasters.base import ModelAdapter

OUT_OF_FOLD = "out_of_fold.parquet"
"""File of a forecaster's out-of-fold predictions, on which its calibrator is fitted."""


def forecaster_class(kind: str) -> type[ModelAdapter]:
    """The class of a kind of forecaster.

    Parameters
    ----------
    kind : str

    Returns
    -------
    type of ModelAdapter

    Raises
    ------
    SettingsError
        When there is no such kind, or the class that its line names is not of this kind.

    Examples
    --------
    >>> forecaster_class("gru").__name__
    'GRUForecaster'
    """
    kinds = forecaster_kinds()
    if kind not in kinds:
        raise SettingsError(f"No forecaster '{kind}'. Known: {', '.join(kinds)}.")
    line = kinds[kind]
    module, _, name = line.implementation.partition(":")
    try:
        found: type[ModelAdapter] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"The class of the forecaster '{kind}' is not at {line.implementation} ({error})."
        ) from error
    if found.kind != kind or found.Settings is not line.settings:
        raise SettingsError(
            f"{line.implementation} is of kind '{found.kind}' with {found.Settings.__name__}; its line says "
            f"'{kind}' with {line.settings.__name__}. Make them agree."
        )
    return found


def load_forecaster(folder: Path | str) -> ModelAdapter:
    """The fitted forecaster, of any kind, that was saved in `folder`.

    Parameters
    ----------
    folder : Path or str

    Returns
    -------
    ModelAdapter

    Raises
    ------
    ArtifactError
        When there is none, or it is damaged.

    Examples
    --------
    >>> load_forecaster("data/artifacts/models/gru_calibrator/BTCUSDT/current")  # doctest: +SKIP
    """
    path = Path(folder) / "model.json"
    try:
        kind = json.loads(path.read_bytes())["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ArtifactError(f"{path} is not there or damaged; expected the folder of a forecaster.") from None
    return forecaster_class(kind).load(Path(folder))

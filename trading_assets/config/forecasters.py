"""Which kinds of forecasters there are. Whatever treats all kinds alike loops over `forecaster_kinds`.

A kind is a line here (or a call of `register_forecaster` in a plug-in), a section of the settings and a
class, which brings the rest: see `forecasters.base.ModelAdapter`. No library that models are fitted with is
loaded here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import create_model

from trading_assets.config.settings import (
    CNNLSTMSettings,
    ForecasterSettings,
    GRUSettings,
    LightGBMSettings,
    Settings,
)
from trading_assets.errors import SettingsError
from trading_assets.plugins import load_plugins


@dataclass(frozen=True)
class ForecasterKind:
    """What is known of a kind of forecaster before its libraries are loaded.

    Attributes
    ----------
    implementation : str
        Where its class is, as `module:Class`.
    settings : type of ForecasterSettings
        Its section of the settings.
    description : str
        One sentence, shown with its asset.
    libraries : tuple of str
        Tags of its asset in Dagster.
    """

    implementation: str
    settings: type[ForecasterSettings]
    description: str
    libraries: tuple[str, ...] = ()


FORECASTERS: dict[str, ForecasterKind] = {
    "lightgbm": ForecasterKind(
        "trading_assets.forecasters.lightgbm:LightGBMForecaster",
        LightGBMSettings,
        "Boosted trees on one bar's features; the positive control is asked of them too.",
        ("lightgbm",),
    ),
    "gru": ForecasterKind(
        "trading_assets.forecasters.gru:GRUForecaster",
        GRUSettings,
        "A gated recurrent unit on the stationary inputs, trained on dense chunks.",
        ("pytorch",),
    ),
    "cnn_lstm": ForecasterKind(
        "trading_assets.forecasters.cnn_lstm:CNNLSTMForecaster",
        CNNLSTMSettings,
        "A causal convolution and an LSTM on the stationary inputs, trained on dense chunks.",
        ("pytorch",),
    ),
}
"""Every kind by the name of its section of the settings, in the order of their probabilities."""
ENCODER = "cnn_lstm"
"""The sequence forecaster whose hidden state agents see, and which the hybrid goes on training."""
CONTROL = "lightgbm"
"""The forecaster that is also asked for high variance, the positive control."""


def forecaster_kinds() -> Mapping[str, ForecasterKind]:
    """`FORECASTERS` after the plug-ins were loaded."""
    load_plugins()
    return FORECASTERS


def register_forecaster(
    kind: str,
    implementation: str,
    settings: type[ForecasterSettings],
    *,
    description: str = "",
    libraries: tuple[str, ...] = (),
) -> None:
    """Add a kind of forecaster, before `trading_assets.definitions` is imported.

    Parameters
    ----------
    kind : str
        Name of its section of the settings; its assets become `{kind}_forecaster` and `{kind}_calibrator`,
        its probability `p_{kind}`.
    implementation, settings, description, libraries
        As in `ForecasterKind`.

    Raises
    ------
    SettingsError
        When the name is taken or cannot be that of an asset, or where the class is has another form.

    Examples
    --------
    >>> register_forecaster("mine", "my_package.mine:MyForecaster", MySettings)  # doctest: +SKIP
    """
    line = ForecasterKind(implementation, settings, description or f"The {kind} forecaster.", libraries)
    if FORECASTERS.get(kind) == line:
        return
    if not re.fullmatch(r"[a-z][a-z0-9_]*", kind):
        raise SettingsError(f"A kind of forecaster cannot be '{kind}'; expected a-z, 0-9 and _, a-z first.")
    if kind in FORECASTERS or kind in Settings.model_fields:
        raise SettingsError(f"'{kind}' is taken by another section of the settings; choose another name.")
    if not re.fullmatch(r"[\w.]+:\w+", implementation):
        raise SettingsError(f"The class of '{kind}' is at '{implementation}'; expected 'module:Class'.")
    FORECASTERS[kind] = line


def settings_class() -> type[Settings]:
    """`Settings` with a section for each registered kind of forecaster."""
    sections = {
        kind: (line.settings, line.settings())
        for kind, line in forecaster_kinds().items()
        if kind not in Settings.model_fields
    }
    if not sections:
        return Settings
    fields: dict[str, object] = dict(sections)
    extended: type[Settings] = create_model("Settings", __base__=Settings, **fields)  # type: ignore[call-overload]
    return extended

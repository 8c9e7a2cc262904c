"""Forecasters as they run in a bundle: from a bar's features to calibrated probabilities, in plain numpy.

How a forecaster runs is its *form*; several kinds may share one. A form that is not listed in `FORMS` is
registered by a module of its own, which needs no more than numpy either.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from trading_assets.arrays import Floats, Singles
from trading_assets.errors import ArtifactError, SettingsError
from trading_assets.execution.checks import is_whole, refuse, require_list
from trading_assets.execution.networks import (
    GRU,
    Encoder,
    Scaler,
    Trees,
    Weights,
    make_calibrator,
    sigmoid,
    sub,
)

Layout = Mapping[str, str]
"""Names of arrays with type and sizes: a number, a name that stands for one size, or a multiple of it."""
MAX_DEPTH = 10_000
"""Of a tree."""
SCALER: Layout = {
    "scaler.center": "float64 inputs",
    "scaler.scale": "float64 inputs",
    "scaler.limit": "float64 1",
}


class ForecasterForm(ABC):
    """A forecaster at the close of a bar; a subclass is a form.

    Parameters
    ----------
    about : mapping
        What `forecasters.base.ModelAdapter.deploy` says of it in JSON.
    weights : mapping of str to ndarray
        Its arrays, as `layout` has them.

    Attributes
    ----------
    layout : mapping of str to str
        Its arrays by name, with types and sizes; `inputs` is how many numbers it reads of a bar. What begins
        with `scaler.` is a `networks.Scaler`.
    state_size : int
        Length of the float32 vector that is all it remembers of past bars; zeros at the start.

    Examples
    --------
    See `register_form`.
    """

    layout: ClassVar[Layout]
    state_size: int = 0

    @abstractmethod
    def __init__(self, about: Mapping[str, Any], weights: Weights) -> None: ...

    @abstractmethod
    def score(self, x: Singles, state: Singles) -> float:
        """Log-odds of up after a bar's features (n_features,); moves `state` on in place."""

    def scores(self, features: Singles, state: Singles) -> Floats:
        """Log-odds of consecutive bars (n_bars, n_features), equal bit for bit to one after the other."""
        return np.array([self.score(x, state) for x in features], dtype=np.float64)

    @classmethod
    def n_inputs(cls, about: Mapping[str, Any], n_features: int, name: str) -> int:
        """How many numbers it reads of a bar; raises `ArtifactError` where `about` cannot be.

        `name` is what messages call it.
        """
        return n_features

    @classmethod
    def check_weights(cls, weights: Weights, n_inputs: int, name: str) -> None:
        """Raise `ArtifactError` for arrays that fit the layout and yet cannot be."""
        return


class TreesForm(ForecasterForm):
    """Boosted trees on one scaled bar."""

    layout: ClassVar[Layout] = {
        **SCALER,
        "trees.feature": "int64 nodes",
        "trees.threshold": "float64 nodes",
        "trees.children": "int64 nodes 2",
        "trees.value": "float64 nodes",
        "trees.roots": "int64 trees",
        "trees.depth": "int64 1",
    }

    def __init__(self, about: Mapping[str, Any], weights: Weights) -> None:
        self.scaler, self.trees = Scaler(sub(weights, "scaler")), Trees(sub(weights, "trees"))

    def score(self, x: Singles, state: Singles) -> float:
        return self.trees(self.scaler(x))

    def scores(self, features: Singles, state: Singles) -> Floats:
        return self.trees.batch(self.scaler(features))

    @classmethod
    def check_weights(cls, weights: Weights, n_inputs: int, name: str) -> None:
        trees = sub(weights, "trees")
        nodes, depth = len(trees["value"]), int(trees["depth"][0])
        bounds = {"feature": n_inputs, "children": nodes, "roots": nodes, "depth": MAX_DEPTH}
        for part, stop in bounds.items():
            values = trees[part]
            if values.min() < 0 or values.max() >= stop:
                raise ArtifactError(
                    f"{name}.trees.{part} reaches from {values.min()} to {values.max()}; "
                    f"expected 0 to {stop - 1}."
                )
        reached = np.unique(trees["roots"])
        for _ in range(depth):
            below = np.unique(trees["children"][reached])
            if np.array_equal(below, reached):
                break
            reached = below
        if (trees["children"][reached] != reached[:, None]).any():
            raise ArtifactError(f"{name}.trees has nodes that lead to no leaf within its depth of {depth}.")


class SequenceForm(ForecasterForm):
    """The features it reads, scaled, an encoder that remembers past bars, and a linear head."""

    encoder_type: ClassVar[type[Encoder] | type[GRU]]
    encoder_layout: ClassVar[Layout]

    def __init_subclass__(cls) -> None:
        encoder = {f"encoder.{name}": sizes for name, sizes in cls.encoder_layout.items()}
        head = {"head.weight": "float32 1 hidden", "head.bias": "float32 1"}
        cls.layout = {**SCALER, **encoder, **head}

    def __init__(self, about: Mapping[str, Any], weights: Weights) -> None:
        self.columns = np.array(about["columns"])
        self.scaler = Scaler(sub(weights, "scaler"))
        self.encoder = self.encoder_type(sub(weights, "encoder"))
        self.state_size, self.hidden = self.encoder.state_size, self.encoder.hidden
        self.head, self.head_bias = weights["head.weight"][0], weights["head.bias"][0]

    def inputs(self, x: Singles) -> Singles:
        """Its scaled inputs (n_inputs,) of a bar's features."""
        return self.scaler(x.take(self.columns))

    def read(self, hidden: Singles) -> float:
        """The score that a hidden state stands for."""
        return float(self.head @ hidden + self.head_bias)

    def score(self, x: Singles, state: Singles) -> float:
        return self.read(self.encoder(self.inputs(x), state))

    @classmethod
    def n_inputs(cls, about: Mapping[str, Any], n_features: int, name: str) -> int:
        columns = require_list(about, "columns", f"{name}.")
        if not all(is_whole(column, 0, n_features - 1) for column in columns):
            refuse(f"{name}.columns", columns, f"positions among the {n_features} features")
        return len(columns)


class CNNLSTMForm(SequenceForm):
    """A causal convolution and an LSTM."""

    encoder_type = Encoder
    encoder_layout: ClassVar[Layout] = {
        "conv.weight": "float32 channels inputs kernel",
        "conv.bias": "float32 channels",
        "lstm.weight_ih_l0": "float32 4*hidden channels",
        "lstm.weight_hh_l0": "float32 4*hidden hidden",
        "lstm.bias_ih_l0": "float32 4*hidden",
        "lstm.bias_hh_l0": "float32 4*hidden",
    }


class GRUForm(SequenceForm):
    """A tanh layer and a gated recurrent unit."""

    encoder_type = GRU
    encoder_layout: ClassVar[Layout] = {
        "layer.weight": "float32 channels inputs",
        "layer.bias": "float32 channels",
        "gru.weight_ih_l0": "float32 3*hidden channels",
        "gru.weight_hh_l0": "float32 3*hidden hidden",
        "gru.bias_ih_l0": "float32 3*hidden",
        "gru.bias_hh_l0": "float32 3*hidden",
    }


FORMS: dict[str, type[ForecasterForm]] = {
    "trees": TreesForm,
    "gru": GRUForm,
    "cnn_lstm": CNNLSTMForm,
}
"""How forecasters run, by the name that a bundle's architecture has for it."""
BUILT_IN = frozenset(FORMS)
"""Forms that need no module besides this one."""


def register_form(name: str, form: type[ForecasterForm]) -> None:
    """Add a form, wherever bundles that hold it are made or loaded.

    Parameters
    ----------
    name : str
        What `forecasters.base.ModelAdapter.deploy` calls it.
    form : type of ForecasterForm

    Raises
    ------
    SettingsError
        When the name is taken.

    Examples
    --------
    >>> register_form("mine", MyForm)  # doctest: +SKIP
    """
    if name in FORMS and FORMS[name].__qualname__ != form.__qualname__:
        raise SettingsError(f"The form '{name}' is taken by {FORMS[name].__name__}; choose another name.")
    FORMS[name] = form


def form_of(about: Mapping[str, Any], name: str = "a forecaster") -> type[ForecasterForm]:
    """How a forecaster of a bundle runs; raises `ArtifactError` where this process does not know it."""
    form = about.get("form")
    if not isinstance(form, str) or form not in FORMS:
        raise ArtifactError(
            f"{name} runs as {form!r}, which this process does not know; known are {', '.join(FORMS)}. Where "
            "a plug-in brings it, name the plug-in's module in TRADING_ASSETS_PLUGINS."
        )
    return FORMS[form]


class Forecasters:
    """All forecasters at the close of a bar: features, the encoder's hidden state, calibrated probabilities.

    Parameters
    ----------
    architecture : mapping
        `features`, `forecasters` (a mapping each: kind, form, calibrator, and what its form needs) and
        `encoder`, the kind whose hidden state is part of what comes out.
    weights : mapping of str to ndarray
        Of each forecaster below its kind.

    Attributes
    ----------
    models : dict of str to ForecasterForm
        By kind.
    encoder : SequenceForm
    state_size : int
        The states of all, in their order.
    width : int
        Of what comes out for a bar.
    """

    def __init__(self, architecture: Mapping[str, Any], weights: Weights) -> None:
        n = len(architecture["features"])
        self.models: dict[str, ForecasterForm] = {}
        self._others: list[tuple[int, ForecasterForm, Any, slice]] = []
        self.state_size = 0
        encoder = self._encoder_of(architecture, weights)
        for place, about in enumerate(architecture["forecasters"]):
            kind = about["kind"]
            own = kind == architecture["encoder"]
            model = encoder if own else form_of(about, kind)(about, sub(weights, kind))
            self.models[kind] = model
            part = slice(self.state_size, self.state_size + model.state_size)
            self.state_size = part.stop
            column, calibrate = n + encoder.hidden + place, make_calibrator(about["calibrator"])
            if own:
                self._column, self._calibrate, self.encoder_state = column, calibrate, part
            else:
                self._others.append((column, model, calibrate, part))
        self.encoder = encoder
        self.width = n + encoder.hidden + len(self.models)

    def _encoder_of(self, architecture: Mapping[str, Any], weights: Weights) -> SequenceForm:
        kind = architecture["encoder"]
        about = next(about for about in architecture["forecasters"] if about["kind"] == kind)
        model = form_of(about, kind)(about, sub(weights, kind))
        if not isinstance(model, SequenceForm):
            raise ArtifactError(f"The forecaster {kind} has no hidden state, so it cannot be the encoder.")
        return model

    def __call__(self, x: Singles, state: Singles, out: Singles) -> Singles:
        """Fill `out` (width,) from the features `x`; return the encoder's scaled inputs."""
        for column, model, calibrate, part in self._others:
            out[column] = calibrate(sigmoid(model.score(x, state[part])))
        return self._encode(x, state, out)

    def table(self, features: Singles, state: Singles) -> Singles:
        """What comes out for consecutive bars, shape (n_bars, width), as one after the other."""
        out = np.empty((len(features), self.width), dtype=np.float32)
        for column, model, calibrate, part in self._others:
            scores = model.scores(features, state[part])
            out[:, column] = [calibrate(sigmoid(score)) for score in scores]
        for x, row in zip(features, out, strict=True):
            self._encode(x, state, row)
        return out

    def _encode(self, x: Singles, state: Singles, out: Singles) -> Singles:
        """Fill in features, hidden state and the encoder's probability."""
        encoder, n = self.encoder, len(x)
        z = encoder.inputs(x)
        hidden = encoder.encoder(z, state[self.encoder_state])
        out[:n] = x
        out[n : n + encoder.hidden] = hidden
        out[self._column] = self._calibrate(sigmoid(encoder.read(hidden)))
        return z


def probability_names(architecture: Mapping[str, Any]) -> list[str]:
    """Names of the last columns of `Forecasters.table`: `p_{kind}` of each forecaster."""
    return [f"p_{about['kind']}" for about in architecture["forecasters"]]

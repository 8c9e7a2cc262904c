"""Gradient-boosted trees."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trading_assets.arrays import Floats, Rows, Singles
from trading_assets.compilation import compiled
from trading_assets.config.settings import LightGBMSettings
from trading_assets.errors import ArtifactError, SchemaError
from trading_assets.execution.networks import prefixed
from trading_assets.forecasters.base import NOT_FINITE, ModelAdapter
from trading_assets.forecasters.training_data import TrainingData

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from trading_assets.forecasters.graphs import ForecasterGraph

NOT_LIGHTGBMS = {"n_estimators", "preprocessing", "early_stopping", "holdout"}


WALKED = 8
"""Trees that are walked at once to answer one row."""


class LightGBMForecaster(ModelAdapter):
    """LightGBM on one bar's features; parameters as in `config.settings.LightGBMSettings`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    >>> y = (X["a"] + rng.normal(size=600) > 0).astype(float)
    >>> LightGBMForecaster(seed=0, n_estimators=5).fit(X, y).predict_proba(X).shape
    (600, 2)
    """

    kind = "lightgbm"
    Settings = LightGBMSettings
    file = "model.txt"
    parallel = True
    settings: LightGBMSettings
    settings_: LightGBMSettings
    booster_: lgb.Booster

    def _fit(self, data: TrainingData) -> None:
        fixed = {
            "objective": self._objective(),
            "num_class": self._n_outputs,
            "subsample_freq": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": self.n_threads,
            "verbosity": -1,
        }
        parameters = {**self.settings.model_dump(exclude=NOT_LIGHTGBMS), **fixed}
        train, rounds = self._dataset(data, data.rows), self.settings.n_estimators
        if len(data.answered(data.held_out)):
            stop = lgb.early_stopping(self.settings.early_stopping, verbose=False)
            held_out = self._dataset(data, data.held_out, reference=train)
            booster = lgb.train(parameters, train, rounds, valid_sets=[held_out], callbacks=[stop])
            best = booster.model_to_string(num_iteration=booster.best_iteration)
            self.booster_ = lgb.Booster(model_str=best)
        else:
            self.booster_ = lgb.train(parameters, train, rounds)
        self.training_ = {"device": {"name": "cpu"}, "trees": self.booster_.num_trees()}

    def _objective(self) -> str:
        if self.task_ == "regression":
            return "regression"
        return "binary" if self._n_outputs == 1 else "multiclass"

    def _dataset(self, data: TrainingData, rows: Rows, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        # By number: LightGBM refuses some characters in names and takes others for the same.
        rows = data.answered(rows)
        return lgb.Dataset(data.Z[rows], data.y[rows], weight=data.weight[rows], reference=reference)

    def _predict(self, Z: Singles) -> Floats:
        raw = self.booster_.predict(Z, raw_score=True, num_threads=self.n_threads)
        return np.asarray(raw, dtype=np.float64)

    def _stream(self) -> Callable[[Singles], Floats]:
        try:
            scaler = self.preprocessor_.as_scaler()
        except ArtifactError:
            return super()._stream()
        return self._scorer(scaler.center, scaler.scale, scaler.limit)

    def _stream_prepared(self) -> Callable[[Singles], Floats]:
        n = len(self.preprocessor_.feature_names_out)
        return self._scorer(np.zeros(n), np.ones(n), np.inf)

    def _scorer(self, center: Floats, scale: Floats, limit: float) -> Callable[[Singles], Floats]:
        nodes, threshold, value, roots = _packed(self.trees())
        depth, n_outputs = self.settings_.max_depth, self._n_outputs
        scaling, z = np.stack([center, scale]), np.empty(len(center), dtype=np.float32)

        def score(row: Singles) -> Floats:
            if row.shape != z.shape:
                raise SchemaError(f"A row of shape {row.shape} was given, expected {z.shape}: one bar.")
            out = np.zeros(n_outputs)
            if not _score(row, scaling, limit, z, nodes, threshold, value, roots, depth, out):
                raise SchemaError(NOT_FINITE)
            return out

        return score

    def gain(self) -> dict[str, float]:
        """Gain of every feature as a share of the whole."""
        gain = self.booster_.feature_importance("gain")
        shares = gain / max(gain.sum(), 1e-12)
        return dict(zip(self.preprocessor_.feature_names_out, shares.tolist(), strict=True))

    def importances(self, X: pd.DataFrame) -> dict[str, Mapping[str, float]]:
        return {"share of gain": self.gain(), "mean SHAP value": shap_importance(self, X)}

    @classmethod
    def search_space(cls) -> dict[str, BaseDistribution]:
        from optuna.distributions import FloatDistribution, IntDistribution

        return {
            "n_estimators": IntDistribution(50, 600, log=True),
            "learning_rate": FloatDistribution(0.005, 0.1, log=True),
            "num_leaves": IntDistribution(4, 63, log=True),
            "min_child_samples": IntDistribution(20, 500, log=True),
            "colsample_bytree": FloatDistribution(0.2, 1.0),
            "subsample": FloatDistribution(0.4, 1.0),
            "reg_lambda": FloatDistribution(0.1, 100.0, log=True),
        }

    def deploy(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        parts = {"scaler": self.preprocessor_.as_scaler().arrays(), "trees": self.trees()}
        return {"form": "trees"}, prefixed(parts)

    @classmethod
    def graph(cls, about: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> ForecasterGraph:
        from trading_assets.forecasters.graphs import TreesForecasterGraph

        return TreesForecasterGraph(about, weights)

    def trees(self) -> dict[str, NDArray[Any]]:
        """The trees as the arrays of `execution.networks.Trees`."""
        dump = self.booster_.dump_model(num_iteration=-1)
        nodes: list[tuple[int, float, int, int, float]] = []
        roots = [_flatten(tree["tree_structure"], nodes) for tree in dump["tree_info"]]
        feature, threshold, left, right, value = zip(*nodes, strict=True)
        return {
            "feature": np.array(feature, dtype=np.int64),
            "threshold": np.array(threshold),
            "children": np.column_stack([left, right]).astype(np.int64),
            "value": np.array(value),
            "roots": np.array(roots, dtype=np.int64),
            "depth": np.array([self.settings_.max_depth], dtype=np.int64),
        }

    def save_weights(self, folder: Path) -> None:
        # LightGBM writes down its threads, which decide nothing, among the parameters.
        text = re.sub(r"\[num_threads: \d+\]", "[num_threads: 1]", self.booster_.model_to_string())
        (folder / self.file).write_text(text)

    def load_weights(self, folder: Path) -> None:
        self.booster_ = lgb.Booster(model_str=(folder / self.file).read_text())


def shap_importance(
    model: LightGBMForecaster, X: pd.DataFrame, *, n_rows: int = 2_000
) -> Mapping[str, float]:
    """Mean of |SHAP value| of every feature, in log-odds; exact for trees (Lundberg et al. 2020).

    Parameters
    ----------
    model : LightGBMForecaster
        Fitted.
    X : DataFrame of shape (n_bars, n_features)
        Consecutive bars.
    n_rows : int
        About so many of them, evenly spread, are explained.

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    >>> y = (X["a"] + rng.normal(size=600) > 0).astype(float)
    >>> shares = shap_importance(LightGBMForecaster(seed=0, n_estimators=20).fit(X, y), X)
    >>> shares["a"] > shares["b"]
    True
    """
    Z = model.preprocessor_.transform(X)[model.preprocessor_.lookback :]
    Z = Z[:: max(len(Z) // n_rows, 1)]
    values = np.asarray(model.booster_.predict(Z, pred_contrib=True, num_threads=model.n_threads))
    names = model.preprocessor_.feature_names_out
    # One block of features and a constant for each output.
    blocks = values.reshape(len(Z), -1, len(names) + 1)[:, :, :-1]
    return dict(zip(names, np.abs(blocks).mean(axis=(0, 1)).tolist(), strict=True))


def _packed(trees: dict[str, NDArray[Any]]) -> tuple[Any, Any, Any, Any]:
    """Nodes (left child, feature) in levels, the right child after the left one: a walk is thrice as fast.

    A threshold becomes the largest float32 below it, which no float32 can tell from it.
    """
    children, order = trees["children"], list(trees["roots"])
    for node in order:  # grows while it is walked
        if children[node, 0] != node:
            order += children[node].tolist()
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order))
    threshold = trees["threshold"].astype(np.float32)
    above = threshold > trees["threshold"]
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    nodes = np.column_stack([place[children[order, 0]], trees["feature"][order].astype(np.int32)])
    return nodes, threshold[order], trees["value"][order], place[trees["roots"]]


@compiled(error_model="python")
def _score(
    row: Singles,
    scaling: Floats,
    limit: float,
    z: Singles,
    nodes: NDArray[np.int32],
    threshold: Singles,
    value: Floats,
    roots: NDArray[np.int32],
    depth: int,
    out: Floats,
) -> bool:
    """Scale a row as `execution.networks.Scaler` does and add up its leaves in LightGBM's order.

    Several trees are walked at once, since each waits for memory; a leaf leads to itself.
    """
    for i in range(len(z)):
        if not np.isfinite(row[i]):
            return False
        z[i] = min(max((row[i] - scaling[0, i]) / scaling[1, i], -limit), limit)
    node, output = np.zeros(WALKED, dtype=np.int32), 0
    for first in range(0, len(roots), WALKED):
        n = min(WALKED, len(roots) - first)
        node[:n] = roots[first : first + n]
        for _ in range(depth):
            # A fixed number, which the compiler unrolls; what is left walks for nothing.
            for k in range(WALKED):
                at = node[k]
                node[k] = nodes[at, 0] + (z[nodes[at, 1]] > threshold[at])
        for k in range(n):
            out[output] += value[node[k]]
            output = output + 1 if output + 1 < len(out) else 0
    return True


def _flatten(node: dict[str, Any], nodes: list[tuple[int, float, int, int, float]]) -> int:
    """Append `node` and all below it; return its number. A leaf leads to itself."""
    number = len(nodes)
    if "leaf_value" in node:
        nodes.append((0, np.inf, number, number, float(node["leaf_value"])))
        return number
    nodes.append((0, 0.0, 0, 0, 0.0))
    left, right = _flatten(node["left_child"], nodes), _flatten(node["right_child"], nodes)
    nodes[number] = (node["split_feature"], float(node["threshold"]), left, right, 0.0)
    return number

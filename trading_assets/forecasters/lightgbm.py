"""Gradient-boosted trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from trading_assets.forecasters.base import Floats, ModelAdapter, Rows

MAX_DEPTH = 6
"""Bounds the steps from root to leaf, and with them the latency of a bundle."""


class LightGBMForecaster(ModelAdapter):
    """LightGBM on one bar's features; parameters as in `config.settings.LightGBMSettings`."""

    booster_: lgb.Booster

    def __init__(self, seed: int = 0, **parameters: Any) -> None:
        self.seed = seed
        self.parameters = parameters

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.parameters}

    def _fit(self, Z: NDArray[np.float32], y: Floats, rows: Rows) -> None:
        parameters = dict(self.parameters)
        rounds = parameters.pop("n_estimators", 100)
        fixed = {
            "objective": "binary",
            "max_depth": MAX_DEPTH,
            "subsample_freq": 1,
            "seed": self.seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }
        data = lgb.Dataset(Z[rows], y[rows], feature_name=self.feature_names_in_)
        self.booster_ = lgb.train({**parameters, **fixed}, data, rounds)

    def _predict(self, Z: NDArray[np.float32]) -> Floats:
        return np.asarray(self.booster_.predict(Z, num_threads=1), dtype=np.float64)

    def gain(self) -> dict[str, float]:
        """Gain of every feature as a share of the whole."""
        gain = self.booster_.feature_importance("gain")
        shares = gain / max(gain.sum(), 1e-12)
        return dict(zip(self.feature_names_in_, shares.tolist(), strict=True))

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
            "depth": np.array([MAX_DEPTH], dtype=np.int64),
        }

    def _save(self, folder: Path) -> None:
        (folder / "model.txt").write_text(self.booster_.model_to_string())

    def _load(self, folder: Path) -> None:
        self.booster_ = lgb.Booster(model_str=(folder / "model.txt").read_text())


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

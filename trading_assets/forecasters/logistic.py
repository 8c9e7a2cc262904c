"""Convex fits of a few coefficients to many rows, exact to rounding: what calibrators are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from trading_assets.arrays import Floats

Loss = Callable[[Floats], tuple[float, Floats, Floats]]
"""From coefficients to a convex loss, its gradient and its Hessian."""
TOLERANCE = 1e-10
"""A fit ends when the mean gradient of its rows is this share of one row's standard deviation at first."""
FLAT = 1e-13
"""Directions whose curvature is this share of the largest are left alone: columns there say the same."""
MAX_STEPS = 100
BLOCK = 8_192
"""Rows that are taken at once, so that what comes in between stays in the cache."""


def rising_logistic(columns: Floats, targets: Floats, weight: Floats) -> list[float]:
    """`logistic` with slopes of at least 0: the most negative one is set to 0 and the rest fitted again."""
    kept = np.arange(len(columns))
    while True:
        *slopes, intercept = logistic(columns[kept], targets, weight)
        if min(slopes, default=0.0) >= 0:
            found = np.zeros(len(columns))
            found[kept] = slopes
            return [*found.tolist(), intercept]
        kept = np.delete(kept, np.argmin(slopes))


def logistic(columns: Floats, targets: Floats, weight: Floats) -> list[float]:
    """Slopes and intercept of a logistic regression without a penalty.

    Columns are of shape (n_columns, n), targets between 0 and 1.
    """
    total = float(weight.sum())
    centers = columns @ weight / total
    X = np.ones((len(columns) + 1, len(targets)))
    np.subtract(columns, centers[:, None], out=X[:-1])
    widths = np.array([np.sqrt(weight @ (x * x) / total) for x in X[:-1]])
    widths = np.where(widths > 1e-12 * np.abs(centers), widths, np.inf)  # a constant column has no slope
    X[:-1] /= widths[:, None]
    blocks = [slice(start, start + BLOCK) for start in range(0, len(targets), BLOCK)]

    def loss(coefficients: Floats) -> tuple[float, Floats, Floats]:
        value, gradient, hessian = 0.0, np.zeros(len(X)), np.zeros((len(X), len(X)))
        for block in blocks:
            x, w, t = X[:, block], weight[block], targets[block]
            eta = coefficients @ x
            rest = np.exp(-np.abs(eta))
            sure = 1 / (1 + rest)  # sigmoid(|eta|)
            value += float(w @ (np.maximum(eta, 0) - t * eta - np.log(sure)))
            gradient += x @ (w * (0.5 + np.copysign(sure - 0.5, eta) - t))
            hessian += x * (w * rest * sure * sure) @ x.T
        return value, gradient, hessian

    mean = weight @ targets / total
    base_rate = np.array([0.0] * len(columns) + [np.log(mean / (1 - mean))])
    solution = minimize(loss, base_rate, total)
    slopes = solution[:-1] / widths
    return [*slopes.tolist(), float(solution[-1] - slopes @ centers)]


def minimize(function: Loss, start: Floats, total: float) -> Floats:
    """Newton's method, with steps halved until the loss does not rise.

    `start` ignores the forecasts; `total` is the weight of all rows.
    """
    x, (loss, gradient, hessian) = start, function(start)
    small = TOLERANCE * np.sqrt(np.diag(hessian) * total)
    for _ in range(MAX_STEPS):
        if (np.abs(gradient) <= small).all():
            break
        step = np.linalg.lstsq(hessian, gradient, rcond=FLAT)[0]
        noise = 1e-12 * abs(loss)
        while not (new := function(x - step))[0] <= loss + noise:
            step /= 2
        stuck = new[0] > loss - noise and np.abs(new[1]).max() > np.abs(gradient).max() / 2
        x, (loss, gradient, hessian) = x - step, new
        if stuck:  # rounding allows no more
            break
    return x

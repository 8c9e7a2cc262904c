"""What a forecaster is fitted on: which bars are learnt, and which only decide when to stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_assets.arrays import Floats, Rows, Singles
from trading_assets.config.settings import ForecasterSettings
from trading_assets.errors import SchemaError


@dataclass(frozen=True)
class TrainingData:
    """What a subclass is fitted on; all arrays cover all bars.

    Attributes
    ----------
    Z : ndarray of shape (n_bars, n_inputs), float32
        Preprocessed features.
    y : ndarray of shape (n_bars,)
        Number of the class, or the standardized value; NaN where unknown.
    weight : ndarray of shape (n_bars,)
        Mean 1 over `rows`.
    rows : ndarray of int
        Bars that may be looked at, in order; features are known there. Those with an answer are learnt.
    held_out : ndarray of int
        Later ones that only decide when to stop; empty without early stopping.
    """

    Z: Singles
    y: Floats
    weight: Floats
    rows: Rows
    held_out: Rows

    def answered(self, rows: Rows) -> Rows:
        """Those of the rows whose answer is known."""
        return rows[np.isfinite(self.y[rows])]


def hold_out(
    rows: Rows, y: Floats, label_end: Floats | None, settings: ForecasterSettings
) -> tuple[Rows, Rows]:
    """Training rows and, for early stopping, those of the last share of answers, purged in between.

    Parameters
    ----------
    rows : ndarray of int
        Bars that may be learnt from, in order.
    y, label_end : ndarray of shape (n_bars,)
        Answers, and the last bar of each label; NaN where unknown.
    settings : ForecasterSettings

    Raises
    ------
    SchemaError
        When early stopping is asked for and nothing says where labels end.
    """
    if not settings.early_stopping:
        return rows, rows[:0]
    if label_end is None:
        raise SchemaError(
            "Early stopping holds out the last rows and has to purge before them: give label_end."
        )
    answered = rows[~np.isnan(y[rows])]
    if not len(answered):
        return rows, rows[:0]
    first = answered[-max(round(settings.holdout * len(answered)), 1)]
    # Comparisons with NaN are false: a label that does not say where it ends is not learnt.
    return rows[(rows < first) & (label_end[rows] < first)], rows[rows >= first]

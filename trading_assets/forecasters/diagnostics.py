"""What a forecast on a real market cannot be without a mistake somewhere; checks of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trading_assets.registry.artifacts import Check

MAX_AUC = {1: 0.60, 4: 0.58}
"""AUC of direction above which a leak is likelier than an edge, from the horizon on."""
MAX_SKILL = 0.03
MAX_GAP = 0.05
MIN_CONTROL_AUC = 0.60
"""Real bars of every kind are above it; nearest is a year of hourly currencies with about .63."""
MAX_SHARPE = 2.0
MIN_SLOPE_T = -3.0
AUC, SKILL, GAP = "auc_is_plausible", "brier_skill_is_plausible", "next_era_agrees"
CONTROL, SHARPE = "high_variance_is_found", "sharpe_is_plausible"
SLOPE = "forecast_is_not_reversed"
DESCRIPTIONS: Mapping[str, str] = {
    AUC: "AUC of direction, out of fold and in the next era, is not too good to be true.",
    SKILL: "The Brier score of direction is not too much better than the base rate's to be true.",
    GAP: "The next era's AUC is not far below the out-of-fold AUC.",
    CONTROL: "High variance, which clusters on every market, is forecast: the positive control.",
    SHARPE: "The Sharpe ratio net of costs is not too good to be true.",
    SLOPE: "Out of fold, what is forecast as likelier does not happen less often.",
}
_LEAK = "On a real market suspect a leak first."


def check_forecast(
    out_of_fold: Mapping[str, float], next_era: Mapping[str, float], horizon: int
) -> dict[str, Check]:
    """From the scores of direction on both (see `crossfit.score`)."""
    limit = MAX_AUC[4] if horizon >= 4 else MAX_AUC[1]
    auc = np.fmax(out_of_fold["AUC"], next_era["AUC"])
    skills = out_of_fold["Brier skill"], next_era["Brier skill"]
    gap = out_of_fold["AUC"] - next_era["AUC"]
    return {
        AUC: Check(passed=not auc > limit, text=f"AUC {auc:.3f}, alarm above {limit}. {_LEAK}"),
        SKILL: _check_skill(np.fmax(*skills), np.fmin(*skills)),
        GAP: Check(
            passed=not gap > MAX_GAP,
            text=f"AUC fell by {gap:.3f} from out of fold to the next era, alarm above {MAX_GAP}: the edge "
            "did not last, or was none.",
        ),
    }


def _check_skill(best: float, worst: float) -> Check:
    """A leak gives positive skill; a negative one is no leak, and usual before calibration."""
    text = f"Brier skill {best:.3f}, alarm above {MAX_SKILL}."
    if best > MAX_SKILL:
        return Check(passed=False, text=f"{text} {_LEAK}")
    if worst < 0:
        text += (
            f" At worst {worst:.3f}: overconfident, the probabilities lie too far from the base rate, as "
            "they mostly do before calibration."
        )
    return Check(passed=True, text=text)


def check_control(auc: float) -> dict[str, Check]:
    """From the AUC of high variance, which clusters on every real market: the positive control."""
    text = f"AUC of high variance {auc:.3f}, alarm below {MIN_CONTROL_AUC}: is the pipeline broken?"
    return {CONTROL: Check(passed=not auc < MIN_CONTROL_AUC, text=text)}


def check_slope(t: float) -> dict[str, Check]:
    """From the t of outcomes' slope on out-of-fold forecasts (see `calibration.slope_t`)."""
    text = (
        f"Outcomes fall with the forecast: t of the slope {t:.1f}, alarm below {MIN_SLOPE_T:.0f}. Answers of "
        "another sign, or a market that turned round; no calibrator turns the forecast with it."
        if t < MIN_SLOPE_T
        else f"t of the slope of outcomes on the forecast {t:.1f}, alarm below {MIN_SLOPE_T:.0f}."
    )
    return {SLOPE: Check(passed=not t < MIN_SLOPE_T, text=text)}


def check_sharpe(sharpe: float) -> dict[str, Check]:
    """From an annual Sharpe ratio net of costs."""
    text = f"Net Sharpe ratio {sharpe:.2f} a year, alarm above {MAX_SHARPE}. {_LEAK}"
    return {SHARPE: Check(passed=not sharpe > MAX_SHARPE, text=text)}

"""Alarms of what is too good, or too bad, to be true; each asked on both sides of its line."""

import pytest

from trading_assets.forecasters import diagnostics
from trading_assets.forecasters.diagnostics import check_control, check_forecast, check_sharpe, check_slope

CALM = {"AUC": 0.53, "Brier skill": 0.004}


def forecast(out_of_fold: dict[str, float], next_era: dict[str, float], horizon: int = 1) -> set[str]:
    """The alarms that go off."""
    found = check_forecast({**CALM, **out_of_fold}, {**CALM, **next_era}, horizon)
    assert list(found) == [diagnostics.AUC, diagnostics.SKILL, diagnostics.GAP]
    return {name for name, check in found.items() if not check.passed}


def test_a_small_edge_that_lasts_is_no_alarm() -> None:
    assert forecast({}, {}) == set()
    assert forecast({"AUC": 0.5, "Brier skill": -0.01}, {"AUC": 0.5, "Brier skill": 0.0}, 24) == set()


@pytest.mark.parametrize(
    ("horizon", "below", "above"), [(1, 0.60, 0.601), (3, 0.60, 0.601), (4, 0.58, 0.581), (24, 0.58, 0.59)]
)
def test_an_auc_above_the_line_of_its_horizon_is_an_alarm_on_either_span(
    horizon: int, below: float, above: float
) -> None:
    for span in (0, 1):
        for auc, expected in ((below, set()), (above, {diagnostics.AUC})):
            scores = [{"AUC": 0.575}, {"AUC": 0.575}]
            scores[span] = {"AUC": auc}
            assert forecast(scores[0], scores[1], horizon) == expected


def test_a_skill_above_the_line_is_an_alarm_on_either_span() -> None:
    for span in (0, 1):
        for skill, expected in ((0.03, set()), (0.0301, {diagnostics.SKILL})):
            scores: list[dict[str, float]] = [{}, {"Brier skill": -0.2}]
            scores[span] = {"Brier skill": skill}
            assert forecast(*scores) == expected


@pytest.mark.parametrize("skill", [-0.03, -0.16, -0.5])
def test_a_negative_skill_is_overconfidence_and_neither_an_alarm_nor_a_leak(skill: float) -> None:
    for scores in (({}, {"Brier skill": skill}), ({"Brier skill": skill}, {})):
        assert forecast(*scores) == set()
        text = check_forecast({**CALM, **scores[0]}, {**CALM, **scores[1]}, 24)[diagnostics.SKILL].text
        assert f"At worst {skill:.3f}: overconfident" in text and "leak" not in text
    assert "overconfident" not in check_forecast(CALM, CALM, 24)[diagnostics.SKILL].text


def test_an_edge_that_does_not_last_is_an_alarm_and_one_that_grows_is_none() -> None:
    assert forecast({"AUC": 0.562}, {"AUC": 0.5125}) == set()
    assert forecast({"AUC": 0.563}, {"AUC": 0.5125}) == {diagnostics.GAP}
    assert forecast({"AUC": 0.50}, {"AUC": 0.58}) == set()


def test_the_positive_control_must_be_found() -> None:
    assert check_control(0.6)[diagnostics.CONTROL].passed
    assert not check_control(0.599)[diagnostics.CONTROL].passed
    assert check_control(0.9)[diagnostics.CONTROL].passed


def test_a_sharpe_ratio_above_two_is_an_alarm_and_a_bad_one_is_none() -> None:
    assert check_sharpe(2.0)[diagnostics.SHARPE].passed
    assert not check_sharpe(2.01)[diagnostics.SHARPE].passed
    assert check_sharpe(-7.0)[diagnostics.SHARPE].passed


def test_a_forecast_that_is_the_wrong_way_round_beyond_chance_is_an_alarm() -> None:
    assert check_slope(-3.0)[diagnostics.SLOPE].passed and check_slope(5.0)[diagnostics.SLOPE].passed
    rings = check_slope(-3.01)[diagnostics.SLOPE]
    assert not rings.passed
    assert rings.text.startswith("Outcomes fall with the forecast: t of the slope -3.0, alarm below -3.")


def test_a_score_that_is_not_known_is_no_alarm() -> None:
    assert check_slope(float("nan"))[diagnostics.SLOPE].passed
    nan = float("nan")
    assert forecast({"AUC": nan}, {}) == set()
    for scores in (({"AUC": nan}, {"AUC": 0.7}), ({"AUC": 0.7}, {"AUC": nan})):
        assert forecast(*scores) >= {diagnostics.AUC}
    assert check_control(nan)[diagnostics.CONTROL].passed and check_sharpe(nan)[diagnostics.SHARPE].passed


def test_an_alarm_says_the_figure_the_line_and_what_to_suspect() -> None:
    found = check_forecast({"AUC": 0.7, "Brier skill": 0.1}, {"AUC": 0.52, "Brier skill": 0.0}, 24)
    assert found[diagnostics.AUC].text.startswith("AUC 0.700, alarm above 0.58.")
    assert found[diagnostics.SKILL].text.startswith("Brier skill 0.100, alarm above 0.03.")
    assert found[diagnostics.GAP].text.startswith("AUC fell by 0.180 from out of fold to the next era")
    assert all("leak" in found[name].text for name in (diagnostics.AUC, diagnostics.SKILL))
    assert "0.590" in check_control(0.59)[diagnostics.CONTROL].text
    assert check_sharpe(3.456)[diagnostics.SHARPE].text.startswith(
        "Net Sharpe ratio 3.46 a year, alarm above 2"
    )

"""Limits of an account: read strictly, bounded, and the same after a round trip through YAML."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from pydantic import ValidationError

from tests.risk.accounts import every_rule, limit, settings_of_limits
from trading_assets.config.limits import Limit, RiskLimits
from trading_assets.errors import SettingsError
from trading_assets.risk import RULES

TEXT = "drawdown: {soft: 0.1, hard: 0.25, cool_down: 168}\nleverage: {soft: 1, hard: 2.5, cool_down: 0}\n"
LIMITS = RiskLimits(drawdown=limit(0.1, 0.25, 168), leverage=limit(1, 2.5))


def refusal(text: str) -> str:
    """The one line that YAML text is refused with."""
    with pytest.raises(SettingsError) as refused:
        RiskLimits.from_yaml(text)
    message = str(refused.value)
    assert message
    assert "\n" not in message
    return message


def test_limits_are_read_from_text_and_from_a_file_given_as_path_or_as_its_name(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(TEXT)
    assert RiskLimits.from_yaml(TEXT) == LIMITS
    assert RiskLimits.from_yaml(path) == LIMITS
    assert RiskLimits.from_yaml(str(path)) == LIMITS


def test_a_file_that_holds_nothing_limits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("# no limits yet\n")
    assert RiskLimits.from_yaml(path) == RiskLimits()
    assert all(getattr(RiskLimits(), rule) is None for rule in RULES)


def test_every_figure_with_two_levels_has_a_rule_and_none_is_without() -> None:
    levels = [name for name, field in RiskLimits.model_fields.items() if field.annotation == Limit | None]
    assert levels == list(RULES)


@settings(max_examples=50, deadline=None)
@given(limits=settings_of_limits())
def test_limits_are_the_same_after_a_round_trip_through_yaml(limits: RiskLimits) -> None:
    assert RiskLimits.from_yaml(yaml.safe_dump(limits.model_dump(mode="json"))) == limits


def test_limits_are_the_same_after_a_round_trip_through_a_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text(yaml.safe_dump(every_rule().model_dump(mode="json")))
    assert RiskLimits.from_yaml(path) == every_rule()


def test_limits_cannot_be_changed_after_they_were_checked() -> None:
    limits = every_rule()
    with pytest.raises(ValidationError, match="frozen"):
        limits.window = 30
    with pytest.raises(ValidationError, match="frozen"):
        limits.drawdown.hard = 0.9


def test_an_unknown_limit_suggests_the_close_name() -> None:
    message = refusal("drawdwn: {soft: 0.1, hard: 0.2, cool_down: 1}\n")
    assert message == "Unknown setting 'drawdwn' (The limits). Did you mean 'drawdown'?"
    message = refusal("drawdown: {soft: 0.1, hrd: 0.2, hard: 0.2, cool_down: 1}\n")
    assert message == "Unknown setting 'drawdown.hrd' (The limits). Did you mean 'hard'?"


def test_an_unknown_limit_like_no_other_is_answered_with_those_there_are() -> None:
    message = refusal("zzz: 1\n")
    assert "'zzz'" in message
    assert all(rule in message for rule in RULES)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("window: 40\nwindow: 40\n", "'window' stands twice (line 2)"),
        (f"{TEXT}drawdown: {{soft: 0.1, hard: 0.2, cool_down: 1}}\n", "'drawdown' stands twice (line 3)"),
        ("leverage:\n  soft: 1\n  hard: 2\n  soft: 1\n  cool_down: 0\n", "'soft' stands twice (line 4)"),
    ],
)
def test_a_limit_that_stands_twice_is_refused_with_its_line(text: str, place: str) -> None:
    assert place in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("window: 19\n", "'window' (The limits) is 19: expected a number at least 20 and at most 4096"),
        ("window: 4097\n", "'window' (The limits) is 4097: expected a number at least 20 and at most 4096"),
        ("tail: 0\n", "'tail' (The limits) is 0: expected a number above 0 and below 0.5"),
        ("tail: 0.5\n", "'tail' (The limits) is 0.5: expected a number above 0 and below 0.5"),
        ("activity_window: 0\n", "is 0: expected a number at least 1 and at most 10000"),
        ("activity_window: 10001\n", "is 10001: expected a number at least 1 and at most 10000"),
        ("max_price_age: 0\n", "'max_price_age' (The limits) is 0: expected a number above 0"),
        ("position: {soft: -1, hard: 2, cool_down: 0}\n", "soft' (The limits) is -1: expected a number at"),
        (
            "position: {soft: 0, hard: 0, cool_down: 0}\n",
            "hard' (The limits) is 0: expected a number at least",
        ),
        ("position: {soft: 0, hard: 1, cool_down: -1}\n", "is -1: expected a number at least 0 and at most"),
        ("position: {soft: 0, hard: 1, cool_down: 100001}\n", "at least 0 and at most 100000"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("window: many\n", "'window' (The limits) is 'many'"),
        ("window: 20.5\n", "'window' (The limits) is 20.5"),
        ("tail: .nan\n", "'tail' (The limits) is nan"),
        ("max_price_age: .inf\n", "'max_price_age' (The limits) is inf"),
        ("drawdown: 0.2\n", "'drawdown' (The limits) is 0.2"),
        ("drawdown: {soft: 0.1, hard: .inf, cool_down: 1}\n", "'drawdown.hard' (The limits) is inf"),
        ("drawdown: {soft: 0.1, hard: 0.2, cool_down: 1.5}\n", "'drawdown.cool_down' (The limits) is 1.5"),
        ("drawdown: {soft: 0.1, hard: 0.2}\n", "'drawdown.cool_down' (The limits) is missing"),
        ("drawdown: {soft: 0.1, cool_down: 1}\n", "'drawdown.hard' (The limits) is missing"),
    ],
)
def test_a_value_that_is_missing_or_is_no_usable_number_is_named(text: str, place: str) -> None:
    assert place in refusal(text)


@pytest.mark.parametrize("soft", [0.25, 0.3])
def test_the_soft_level_must_lie_below_the_hard_one(soft: float) -> None:
    message = refusal(f"drawdown: {{soft: {soft}, hard: 0.25, cool_down: 1}}\n")
    assert f"soft is {soft}; it must lie below hard (0.25)" in message


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss", "loss_streak"])
def test_a_rule_that_closes_positions_needs_a_cool_down(rule: str) -> None:
    message = refusal(f"{rule}: {{soft: 0.1, hard: 1, cool_down: 0}}\n")
    assert f"{rule}.cool_down is 0; a rule that closes positions needs 1 bar or more" in message
    assert getattr(RiskLimits.from_yaml(f"{rule}: {{soft: 0.1, hard: 1, cool_down: 1}}\n"), rule).cool_down


@pytest.mark.parametrize("rule", ["drawdown", "daily_loss"])
def test_a_loss_limit_in_per_cent_is_refused(rule: str) -> None:
    message = refusal(f"{rule}: {{soft: 5, hard: 15, cool_down: 9}}\n")
    assert f"{rule}.hard is 15.0; expected a fraction of equity, at most 1" in message


def test_a_rule_that_only_cuts_needs_no_cool_down() -> None:
    others = [rule for rule in RULES if rule not in {"drawdown", "daily_loss", "loss_streak"}]
    text = "".join(f"{rule}: {{soft: 1, hard: 2, cool_down: 0}}\n" for rule in others)
    assert all(getattr(RiskLimits.from_yaml(text), rule) == limit(1, 2) for rule in others)


@pytest.mark.parametrize(
    "text", ["- a: 1\n", "a: [1\n", "a: &x {b: *x}\n", "? [a]\n: 1\n", "a: \0\n", "a: \t- b\n"]
)
def test_yaml_that_holds_no_limits_is_refused_in_one_line(text: str) -> None:
    refusal(text)


def test_a_missing_file_a_folder_and_a_file_that_is_no_text_are_refused_by_name(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"window: \xff\xfe\x81\n")
    for path in (tmp_path / "missing.yaml", tmp_path, binary):
        with pytest.raises(SettingsError) as refused:
            RiskLimits.from_yaml(path)
        assert str(path) in str(refused.value)


def test_a_problem_inside_a_file_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "limits.yaml"
    path.write_text("window: 5\n")
    with pytest.raises(SettingsError) as refused:
        RiskLimits.from_yaml(path)
    assert f"Setting 'window' (The limits in {path}) is 5" in str(refused.value)

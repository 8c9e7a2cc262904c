"""Settings: where each comes from, and one line for each that is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trading_assets.config import Settings, load_settings, profile_names
from trading_assets.config.page import settings_page
from trading_assets.config.profiles import idle_sections
from trading_assets.config.strict_yaml import read_yaml
from trading_assets.defs.resources import Workspace
from trading_assets.errors import SettingsError


def profile(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def refusal(source: str, symbol: str = "BTCUSDT", overrides: Mapping[str, Any] | None = None) -> str:
    """The one line that `load_settings` refuses with."""
    with pytest.raises(SettingsError) as refused:
        load_settings(source, symbol, overrides)
    message = str(refused.value)
    assert message
    assert "\n" not in message
    return message


def test_an_embargo_of_the_folds_that_is_a_share_is_refused_with_the_bars_it_would_be(tmp_path: Path) -> None:
    message = refusal(profile(tmp_path, "folds: {embargo: 0.01}"))
    assert "'folds.embargo'" in message
    assert (
        "is 0.01: expected a whole number of bars, not a share of them; of 5,000 it would be 50." in message
    )


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SYN-PRICE"])
@pytest.mark.parametrize("name", ["demo", "research", "smoke", "standard"])
def test_every_shipped_profile_loads(name: str, symbol: str) -> None:
    assert name in profile_names()
    assert isinstance(load_settings(name, symbol), Settings)


def test_no_profile_is_shipped_that_these_tests_do_not_know() -> None:
    assert profile_names() == ["demo", "research", "smoke", "standard"]


def test_a_profile_keeps_what_it_does_not_change_of_the_one_it_extends() -> None:
    standard, research = load_settings("standard", "A"), load_settings("research", "A")
    assert (standard.folds.n_splits, research.folds.n_splits) == (5, 10)
    assert research.folds.step_bars == standard.folds.step_bars == 720
    assert research.cnn_lstm.channels == standard.cnn_lstm.channels == 32


def test_overrides_win_over_the_symbols_section_which_wins_over_the_profile(
    tmp_path: Path,
) -> None:
    source = profile(
        tmp_path,
        "labels: {horizon: 5, variance_horizon: 6, variance_lookback: 10d}\n"
        "symbols:\n  A: {labels: {horizon: 7, variance_horizon: 8}}\n",
    )
    labels = load_settings(source, "A", {"labels": {"horizon": 9}}).labels
    assert (labels.horizon, labels.variance_horizon, labels.variance_lookback) == (9, 8, "10d")
    assert labels.kind == Settings().labels.kind
    assert load_settings(source, "B").labels.horizon == 5


def test_a_later_section_wins_where_two_patterns_match(tmp_path: Path) -> None:
    source = profile(tmp_path, "symbols:\n  SYN-*: {seed: 1}\n  SYN-A: {seed: 2}\n")
    seeds = [load_settings(source, symbol).seed for symbol in ("SYN-A", "SYN-B", "OTHER")]
    assert seeds == [2, 1, 0]


def test_a_file_may_extend_a_shipped_profile(tmp_path: Path) -> None:
    source = profile(tmp_path, "extends: demo\nseed: 11\nsymbols:\n  SYN-A: {costs: {fee_bps: 3}}\n")
    synthetic, other = load_settings(source, "SYN-A"), load_settings(source, "BTCUSDT")
    assert (synthetic.seed, synthetic.labels.horizon, synthetic.costs.fee_bps) == (11, 1, 3.0)
    assert synthetic.costs.slippage_bps == 0.5
    assert (other.seed, other.labels.horizon, other.costs.fee_bps) == (11, 24, 10.0)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    assert load_settings(profile(tmp_path, "# nothing\n"), "A") == Settings()


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    settings = load_settings("demo", "A")
    with pytest.raises(ValueError, match="frozen"):
        settings.costs.fee_bps = 0.0


@pytest.mark.parametrize(
    ("overrides", "location", "close"),
    [
        ({"labels": {"horizn": 3}}, "labels.horizn", "horizon"),
        ({"label": {"horizon": 3}}, "label", "labels"),
        ({"ppo": {"learning-rate": 3}}, "ppo.learning-rate", "learning_rate"),
    ],
)
def test_an_unknown_setting_suggests_the_close_name(
    overrides: Mapping[str, Any], location: str, close: str
) -> None:
    message = refusal("demo", overrides=overrides)
    assert message == f"Unknown setting '{location}' (profile 'demo'). Did you mean '{close}'?"


def test_an_unknown_setting_like_no_other_is_answered_with_those_there_are() -> None:
    message = refusal("demo", overrides={"costs": {"zzz": 1}})
    assert "'costs.zzz'" in message
    assert "fee_bps, funding, impact" in message


@pytest.mark.parametrize(
    ("overrides", "location", "given"),
    [
        ({"labels": {"horizon": 0}}, "labels.horizon", "0"),
        ({"folds": {"n_splits": 51}}, "folds.n_splits", "51"),
        ({"costs": {"fee_bps": -1.0}}, "costs.fee_bps", "-1.0"),
        ({"costs": {"fee_bps": float("nan")}}, "costs.fee_bps", "nan"),
        ({"costs": {"slippage_bps": float("inf")}}, "costs.slippage_bps", "inf"),
        ({"seed": 2**31}, "seed", "2147483648"),
        ({"labels": {"horizon": "many"}}, "labels.horizon", "'many'"),
        ({"labels": {"horizon": 1.5}}, "labels.horizon", "1.5"),
        ({"labels": 3}, "labels", "3"),
        ({"labels": None}, "labels", "None"),
        ({"calibration": {"method": "magic"}}, "calibration.method", "'magic'"),
    ],
)
def test_a_value_out_of_range_or_of_the_wrong_type_is_named_with_its_place(
    overrides: Mapping[str, Any], location: str, given: str
) -> None:
    message = refusal("standard", overrides=overrides)
    assert message.startswith(f"Setting '{location}' (profile 'standard') is {given}: ")


@pytest.mark.parametrize("soft", [0.25, 0.3])
def test_the_soft_drawdown_must_lie_below_the_hard_one(soft: float) -> None:
    message = refusal("demo", overrides={"risk": {"drawdown": {"soft": soft, "hard": 0.25, "cool_down": 9}}})
    assert f"soft is {soft}; it must lie below hard (0.25)" in message


def test_the_eras_must_leave_a_test_era() -> None:
    shares = {"forecaster_train": 0.7, "agent_train": 0.2, "validation": 0.1}
    message = refusal("demo", overrides={"folds": shares})
    assert "the first three eras take 100%; leave at least 5% for test" in message


@pytest.mark.parametrize("text", ["seed: 1\nseed: 2\n", "costs:\n  fee_bps: 1\n  fee_bps: 1\n"])
def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    source = profile(tmp_path, text)
    message = refusal(source)
    assert source in message
    assert f"stands twice (line {len(text.splitlines())})" in message


@pytest.mark.parametrize("symbol", ["ON", "NO", "Y", "TRUE", "NULL", "0700", "1E5", "2024-01-01"])
def test_a_symbol_that_looks_like_another_type_stays_a_string(tmp_path: Path, symbol: str) -> None:
    source = profile(tmp_path, f"symbols:\n  {symbol}: {{seed: 5}}\n")
    assert load_settings(source, symbol).seed == 5
    assert load_settings(source, "OTHER").seed == 0


@pytest.mark.parametrize("word", ["ON", "NO", "yes", "off", "true"])
def test_words_that_yaml_takes_for_booleans_stay_words(word: str) -> None:
    assert read_yaml(f"a: {word}\nb: [{word}]\n", "x") == {"a": word, "b": [word]}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("10", 10),
        ("-3", -3),
        ("+5", 5),
        ("0", 0),
        ("1_000", 1_000),
        ("1_000.5", 1_000.5),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("1e3", 1_000.0),
        ("1E3", 1_000.0),
        ("1.5e-3", 0.0015),
        (".inf", float("inf")),
        ("~", None),
        ("null", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("4h", "4h"),
        ("24/5", "24/5"),
        ("1__000", "1__000"),
        ("1,000", "1,000"),
        ("=", "="),
        ("<<", "<<"),
        ("'010'", "010"),
        ("'1:30'", "1:30"),
    ],
)
def test_a_plain_value_is_a_decimal_number_nothing_or_text(written: str, value: object) -> None:
    read = read_yaml(f"a: {written}", "x")["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "written",
    ["010", "-010", "08", "00", "0_1", "007.5", "010e2", "0o10", "0x1F", "0b11", "1:30", "-1:30", "190:20:30"]
    + ["1:30.5", "+10:00", "00:30"],
)
def test_a_number_that_yaml_s_versions_read_differently_is_refused_with_its_line(
    tmp_path: Path, written: str
) -> None:
    message = refusal(profile(tmp_path, f"seed: 1\nfolds:\n  embargo: {written}\n"))
    assert f"Line 3: '{written}' is a number that readers of YAML take differently" in message
    assert "in decimal without leading zeros" in message


@pytest.mark.parametrize(
    ("text", "seed"), [("seed: 1_000", 1_000), ("seed: 1e3", 1_000), ("costs: {fee_bps: .5}", 0)]
)
def test_numbers_reach_the_settings_as_they_are_meant(tmp_path: Path, text: str, seed: int) -> None:
    settings = load_settings(profile(tmp_path, text), "A")
    assert settings.seed == seed
    assert settings.costs.fee_bps == (0.5 if seed == 0 else 10.0)


@pytest.mark.parametrize("written", ["yes", "2024-01-01", "1e-1", "1,000", "4h", ".nan", "\uff11\uff10"])
def test_what_is_no_whole_number_is_refused_where_one_is_expected(tmp_path: Path, written: str) -> None:
    assert "Setting 'folds.embargo'" in refusal(profile(tmp_path, f"folds: {{embargo: '{written}'}}\n"))
    assert "folds.embargo" in refusal(profile(tmp_path, f"folds:\n  embargo: {written}\n"))


@pytest.mark.parametrize(("word", "meant"), [("yes", True), ("on", True), ("No", False), ("false", False)])
def test_a_switch_understands_the_words_for_yes_and_no(tmp_path: Path, word: str, meant: bool) -> None:
    settings = load_settings(profile(tmp_path, f"market: {{accept_jumps: {word}}}"), "A")
    assert settings.market.accept_jumps is meant


def test_a_merge_key_adds_what_a_mapping_does_not_have_itself(tmp_path: Path) -> None:
    source = profile(
        tmp_path,
        "symbols:\n"
        "  A: &a {seed: 1, costs: {fee_bps: 2, slippage_bps: 3}}\n"
        "  B: &b {seed: 4, folds: {embargo: 7}}\n"
        "  C: {seed: 5, <<: *a}\n"
        "  D: {<<: [*a, *b]}\n",
    )
    c, d = (load_settings(source, symbol) for symbol in "CD")
    assert (c.seed, c.costs.fee_bps, c.costs.slippage_bps) == (5, 2, 3)
    assert (d.seed, d.costs.fee_bps, d.folds.embargo) == (1, 2, 7)


@pytest.mark.parametrize("value", ["3", "[1]", "[]", "text", ""])
def test_a_merge_key_of_what_is_no_mapping_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="'<<' expects a mapping, such as"):
        read_yaml(f"a:\n  <<: {value}\n", "x")


def test_two_merge_keys_are_refused_as_any_key_that_stands_twice() -> None:
    with pytest.raises(SettingsError, match="'<<' stands twice"):
        read_yaml("a: &a {}\nc: {<<: *a, <<: *a}\n", "x")


@pytest.mark.parametrize(
    "pattern", ["btc*", "BTC/USDT", "BTC USDT", "[BTC", "BTC]", "[]", "[Z-A]*", "{A,B}", "BTC\u0130", "'<<'"]
)
def test_a_pattern_that_no_symbol_can_match_is_refused_whatever_the_symbol(
    tmp_path: Path, pattern: str
) -> None:
    key = pattern if pattern.startswith("'") else f"'{pattern}'"
    source = profile(tmp_path, f"symbols:\n  {key}: {{seed: 1}}\n")
    assert f"{key} under symbols can match no symbol" in refusal(source, "ETHUSDT")


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", ["AB", "CB", "X-1.Y_2"]),
        ("?B", ["AB", "CB"]),
        ("[A-C]B", ["AB", "CB"]),
        ("[!A]*", ["CB", "X-1.Y_2"]),
        ("X-1.Y_2", ["X-1.Y_2"]),
    ],
)
def test_patterns_of_symbols_are_those_of_file_names(
    tmp_path: Path, pattern: str, matched: list[str]
) -> None:
    source = profile(tmp_path, f"symbols:\n  '{pattern}': {{seed: 1}}\n")
    symbols = ["AB", "CB", "X-1.Y_2"]
    assert [symbol for symbol in symbols if load_settings(source, symbol).seed == 1] == matched


def test_a_section_that_is_no_mapping_is_refused_whatever_the_symbol(tmp_path: Path) -> None:
    message = refusal(profile(tmp_path, "symbols: {A: 3}"), "B")
    assert "'A' under symbols must be a mapping of settings, not 3" in message


def test_a_section_for_no_symbol_there_is_is_told_but_not_one_of_a_shipped_profile(tmp_path: Path) -> None:
    source = profile(
        tmp_path, "extends: demo\nsymbols: {BTCUSD: {seed: 1}, BTC*: {seed: 2}, 'X?': {seed: 3}}\n"
    )
    near, far = idle_sections(source, ["BTCUSDT", "ETHUSDT"])
    assert near == (f"Profile '{source}': 'BTCUSD' under symbols matches no symbol; did you mean 'BTCUSDT'?")
    assert far.endswith("'X?' under symbols matches no symbol; there are BTCUSDT, ETHUSDT.")
    assert idle_sections("demo", ["BTCUSDT"]) == []
    assert "S0, S1, S10" in (last := idle_sections(source, [f"S{i}" for i in range(30)])[-1])
    assert last.endswith("and 20 more.")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"market": {"time_zone": "Europe/Berln"}}, "no known zone. Did you mean 'Europe/Berlin'?"),
        ({"market": {"time_zone": "../etc"}}, "market.time_zone is '../etc'"),
        ({"market": {"time_zone": "Europe"}}, "market.time_zone is 'Europe'"),
        ({"market": {"calendar": "Wall Street"}}, "no such calendar"),
        ({"features": {"names": ["rsi_14", "rsi_41"]}}, "Did you mean rsi_14"),
        ({"features": {"parameters": {"rsy": [[7]]}}}, "features.parameters names 'rsy'"),
        ({"features": {"timeframe_names": ["retrun_1"]}}, "features.timeframe_names has 'retrun_1'"),
    ],
)
def test_a_zone_calendar_or_feature_that_there_is_not_is_found_before_anything_runs(
    overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Workspace(profile="demo", overrides=overrides).settings("A")
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_zones_calendars_their_aliases_and_features_that_there_are_pass() -> None:
    chosen = {
        "market": {"time_zone": "Europe/Berlin", "calendar": "NYSE"},
        "features": {"names": ["volatility", "rsi*"], "parameters": {"rsi": [[7], [28]]}},
    }
    settings = Workspace(profile="demo", overrides=chosen).settings("A")
    assert settings.market.calendar == "NYSE"


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b\n",
        "just words\n",
        "42\n",
        "seed: [1\n",
        "seed: 1\n\tcosts: 2\n",
        "a: &x {b: *x}\n",
        "? [a, b]\n: 1\n",
        "? {a: b}\n: 1\n",
        "seed: !!python/object/apply:os.getcwd []\n",
        "symbols: [A, B]\n",
        "symbols: {A: 3}\n",
        "symbols: {BTCUSDT: }\nseed: -1\n",
        "\x00",
    ],
)
def test_yaml_that_holds_no_settings_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    source = profile(tmp_path, text)
    refusal(source, "A" if "A: 3" in text else "BTCUSDT")


def test_a_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"seed: \xff\xfe\x81\n")
    assert str(path) in refusal(str(path))


@pytest.mark.parametrize("name", ["demos", "nowhere.yaml", "", "../demo"])
def test_a_missing_profile_is_answered_with_the_known_ones(name: str) -> None:
    message = refusal(name)
    assert f"No profile '{name}'" in message
    assert "demo, research, smoke, standard" in message


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    assert "No profile 'dmeo'" in refusal(profile(tmp_path, "extends: dmeo\n"))


def test_profiles_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    profile(tmp_path, f"extends: {two}\n", "one.yaml")
    profile(tmp_path, f"extends: {one}\n", "two.yaml")
    message = refusal(str(one))
    assert "in a circle" in message
    assert f"{one} -> {two}" in message


def test_a_profile_that_extends_itself_is_refused(tmp_path: Path) -> None:
    source = str(tmp_path / "mine.yaml")
    profile(tmp_path, f"extends: {source}\n")
    assert "in a circle" in refusal(source)


def test_every_setting_says_what_it_means_and_the_page_in_the_docs_lists_it() -> None:
    page = settings_page()
    assert (Path(__file__).parents[2] / "docs" / "settings-reference.md").read_text() == page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 100 and all(line.split("|")[4].strip() for line in rows)


def test_the_launchpad_lists_every_section() -> None:
    schema = Workspace.to_config_schema().as_field().config_type.fields["overrides"]
    assert all(f"{name}: " in schema.description for name in ("costs", "folds", "risk", "ppo"))

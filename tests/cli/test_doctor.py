"""`trading-assets doctor` names what is wrong and what to do about it."""

import json
from pathlib import Path

import pytest

from tests.pipeline import SYMBOL, current
from trading_assets.cli.main import main


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("- ")]


def test_a_sound_data_folder_has_nothing_wrong(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "Nothing is wrong." in capsys.readouterr().out


def test_an_artifact_of_an_earlier_method_is_named_with_the_command_that_makes_it_again(
    own_trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = current("ppo_agent").path / "metadata.json"
    metadata = json.loads(path.read_bytes())
    metadata["recipe"]["method"] -= 1
    path.write_text(json.dumps(metadata))
    assert main(["doctor"]) == 1
    (line,) = lines(capsys)
    assert f"{SYMBOL} has artifacts of earlier methods (ppo_agent 1.0.0)" in line
    assert line.endswith(f"trading-assets train all --symbols {SYMBOL}")


def test_a_bundle_of_an_earlier_format_is_named(
    own_trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = current("policy_bundle").path / "architecture.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "format": 3}))
    assert main(["doctor"]) == 1
    (line,) = lines(capsys)
    assert "has bundle format 3, and this version reads 4" in line


def test_a_wrong_setting_and_a_file_that_is_not_taken_are_named(
    data_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (data_dir / "market").mkdir(exist_ok=True)
    (data_dir / "market" / "btcusdt.csv").touch()
    profile = tmp_path / "mine.yaml"
    profile.write_text("extends: smoke\nppo: {gama: 0.9}\n")
    assert main(["doctor", "--profile", str(profile)]) == 1
    wrong_setting, not_taken = lines(capsys)
    assert "Did you mean 'gamma'" in wrong_setting and "btcusdt.csv" in not_taken

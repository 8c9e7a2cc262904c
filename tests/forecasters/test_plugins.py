"""A fourth kind of forecaster is a module, its settings and a line: everything else takes it up by itself."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import pipeline
from tests.execution.test_bundle import REPLAY
from trading_assets.config.forecasters import (
    ENCODER,
    FORECASTERS,
    ForecasterKind,
    register_forecaster,
    settings_class,
)
from trading_assets.config.profiles import load_settings
from trading_assets.config.settings import CNNLSTMSettings, LightGBMSettings, Settings
from trading_assets.errors import ArtifactError, SettingsError
from trading_assets.execution import load_bundle
from trading_assets.execution.forecasters import FORMS, TreesForm, register_form
from trading_assets.forecasters import forecaster_class
from trading_assets.plugins import VARIABLE
from trading_assets.registry.artifacts import ArtifactRef
from trading_assets.registry.store import ArtifactStore
from trading_assets.registry.tables import read_table

ROOT = Path(__file__).parents[2]
TRAIN = """
from tests import pipeline
assert pipeline.train(toy={"C": 0.02}, search={"trials": 2})
"""


@pytest.fixture(autouse=True)
def _kinds_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it."""
    monkeypatch.setattr("trading_assets.config.forecasters.FORECASTERS", FORECASTERS.copy())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which a process with the plug-in trained everything, in the smoke profile."""
    folder = tmp_path_factory.mktemp("plugin")
    with pytest.MonkeyPatch.context() as patch:
        pipeline.use(folder, patch)
        pipeline.write_bars(folder)
        run(TRAIN, plugin="tests.plugins.toy")
    return folder


@pytest.fixture
def bundle(folder: Path) -> Path:
    return ref("bundles", "policy_bundle", folder).path


def run(script: str, *arguments: str, plugin: str) -> str:
    """What a new process says to a script, with a plug-in."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        env={**os.environ, VARIABLE: plugin},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return done.stdout


def ref(category: Any, name: str, folder: Path) -> ArtifactRef:
    found = ArtifactStore(folder / "artifacts").current(category, name, pipeline.SYMBOL)
    assert found is not None, name
    return found


def test_its_forecaster_is_searched_fitted_with_its_settings_and_calibrated(folder: Path) -> None:
    model = json.loads((ref("models", "toy_forecaster", folder).path / "model.json").read_bytes())
    assert model["kind"] == "toy" and 1e-4 <= model["settings"]["C"] <= 1.0
    searched = json.loads((ref("models", "toy_forecaster", folder).path / "search.json").read_bytes())
    assert searched["trials"][0]["C"] == 0.02
    calibrator = ref("models", "toy_calibrator", folder)
    assert json.loads((calibrator.path / "calibrator.json").read_bytes())["method"]
    assert isinstance(calibrator.summary.numbers["validation AUC after"], float)


def test_its_probability_is_in_the_table_that_agents_learn_from(folder: Path) -> None:
    table = read_table(ref("models", "market_embeddings", folder).path / "embeddings.parquet")
    assert list(table)[-4:] == ["p_lightgbm", "p_gru", "p_cnn_lstm", "p_toy"]
    p = table["p_toy"].dropna()
    assert p.between(0, 1).all() and p.std() > 0.01


def test_its_probability_stands_in_the_report_of_forecasts(folder: Path) -> None:
    rows = json.loads((ref("reports", "forecast_report", folder).path / "forecasters.json").read_bytes())
    assert [row["forecaster"] for row in rows] == [*FORECASTERS, "toy"]


def test_it_is_in_the_bundle_whose_metadata_say_that_it_needs_a_plug_in(bundle: Path) -> None:
    architecture = json.loads((bundle / "architecture.json").read_bytes())
    assert [about["kind"] for about in architecture["forecasters"]] == [*FORECASTERS, "toy"]
    details = json.loads((bundle / "metadata.json").read_bytes())["details"]
    assert details["forecasters"][-1] == {"kind": "toy", "form": "logistic_regression", "plug-in": True}
    assert not any(about["plug-in"] for about in details["forecasters"][:-1])
    assert all(row["max difference"] < 1e-5 for row in details["parity"].values())


def test_a_machine_with_numpy_alone_and_the_form_decides_as_the_backtest_did(
    folder: Path, bundle: Path, tmp_path: Path
) -> None:
    frame = read_table(ref("reports", "backtest_report", folder).path / "decisions.parquet")
    np.save(tmp_path / "rows.npy", frame.drop(columns=["bar", "action"]).to_numpy(dtype=np.float32))
    script = REPLAY.format(allowed=["trading_assets", "numpy", "safetensors", "tests"], runtime="numpy")
    said = run(script, str(bundle), str(tmp_path / "rows.npy"), plugin="tests.plugins.toy_form")
    actions = frame["action"].dropna().to_numpy()
    assert np.array_equal([float(action) for action in said.split()], actions)
    assert len(np.unique(actions)) > 1


def test_it_counts_in_the_decisions(bundle: Path) -> None:
    """Parity proves nothing of a part that is left out on both sides."""
    script = """
import sys, json
import numpy as np
import tests.plugins.toy
from trading_assets.execution.ensemble import PolicyNetwork
from trading_assets.registry.tensors import load_tensors

architecture = json.load(open(sys.argv[1] + "/architecture.json"))
weights, _ = load_tensors(__import__("pathlib").Path(sys.argv[1]) / "weights.safetensors")
x, account = (np.ones(len(architecture[n]), dtype=np.float32) for n in ("features", "account"))
for sign in (1, -1):
    network = PolicyNetwork(architecture, weights | {"toy.linear.coef": sign * weights["toy.linear.coef"]})
    print(*network(x, account, np.zeros(network.state_size, dtype=np.float32)))
"""
    one, other = run(script, str(bundle), plugin="").splitlines()
    assert one != other


def test_a_process_without_the_plug_in_refuses_the_bundle_and_says_what_is_missing(bundle: Path) -> None:
    with pytest.raises(ArtifactError, match=rf"toy runs as 'logistic_regression'.* {VARIABLE}"):
        load_bundle(bundle)


def test_the_documentation_shows_the_plug_in_that_is_tested_here() -> None:
    page = (ROOT / "docs" / "forecasters.md").read_text()
    assert f"```python\n{(ROOT / 'tests' / 'plugins' / 'toy.py').read_text()}```" in page
    for path in set(re.findall(r"`(tests/[\w/]+\.py)`", page)):
        assert (ROOT / path).is_file(), path


def test_without_the_plug_in_its_section_is_an_unknown_setting() -> None:
    assert settings_class() is Settings
    with pytest.raises(SettingsError, match="Unknown setting 'toy'"):
        load_settings("smoke", "SYN-PRICE", {"toy": {"C": 1.0}})


def test_a_registered_kind_has_a_section_of_the_settings_that_is_checked_like_any_other() -> None:
    line = "tests.plugins.toy_forecaster:ToyForecaster"
    register_forecaster("another", line, LightGBMSettings)
    register_forecaster("another", line, LightGBMSettings)  # the same again is nothing new
    chosen = load_settings("smoke", "SYN-PRICE", {"another": {"num_leaves": 7}})
    assert chosen.another.num_leaves == 7 and chosen.another.n_estimators == 150  # type: ignore[attr-defined]
    assert chosen.model_dump()["another"]["num_leaves"] == 7
    with pytest.raises(SettingsError, match=r"Unknown setting 'another\.num_leafs'.*'num_leaves'"):
        load_settings("smoke", "SYN-PRICE", {"another": {"num_leafs": 7}})
    with pytest.raises(SettingsError, match="expected a number at least 2 and at most 255"):
        load_settings("smoke", "SYN-PRICE", {"another": {"num_leaves": 1}})


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        ("My Kind", "a:B", "cannot be 'My Kind'; expected a-z"),
        ("gru", "a:B", "'gru' is taken"),
        ("costs", "a:B", "'costs' is taken"),
        ("mine", "a.B", "at 'a.B'; expected 'module:Class'"),
    ],
)
def test_a_line_that_cannot_be_is_refused(kind: str, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        register_forecaster(kind, line, CNNLSTMSettings)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("no_such_module:A", "is not at no_such_module:A"),
        ("trading_assets.forecasters.gru:A", "is not at trading_assets.forecasters.gru:A"),
        ("trading_assets.forecasters.gru:GRUForecaster", "is of kind 'gru' with GRUSettings; its line says"),
    ],
)
def test_a_line_that_leads_to_no_such_class_is_told(line: str, message: str) -> None:
    register_forecaster("mine", line, LightGBMSettings)
    with pytest.raises(SettingsError, match=re.escape(message)):
        forecaster_class("mine")


def test_a_plug_in_that_cannot_be_imported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "no_such_module")
    with pytest.raises(SettingsError, match=rf"{VARIABLE} names the module 'no_such_module'"):
        load_settings("smoke", "SYN-PRICE")


def test_a_form_s_name_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.execution.forecasters.FORMS", FORMS.copy())
    register_form("trees", TreesForm)
    with pytest.raises(SettingsError, match="'gru' is taken by GRUForm"):
        register_form("gru", TreesForm)


def test_the_kinds_that_come_with_the_package_agree_with_their_lines() -> None:
    for kind, line in FORECASTERS.items():
        assert isinstance(line, ForecasterKind)
        assert forecaster_class(kind).kind == kind
        assert isinstance(getattr(Settings(), kind), line.settings)
    assert ENCODER in FORECASTERS and hasattr(forecaster_class(ENCODER), "encoder_type")

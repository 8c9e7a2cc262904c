"""`policy.onnx` says what it is, and the page on it is enough to decide as the backtest did."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from tests.pipeline import SYMBOL, current
from trading_assets.execution import load_bundle
from trading_assets.registry.tables import read_table
from trading_assets.simulation.kernel import ACCOUNT_NAMES

PAGE = Path(__file__).parents[2] / "docs" / "onnx.md"
BEFORE = """
import sys
from pathlib import Path

class OnlyOnnxruntime:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in {"numpy", "onnxruntime", "google", "packaging"} | sys.stdlib_module_names:
            raise ModuleNotFoundError(f"the page does not speak of {name}")

sys.meta_path.insert(0, OnlyOnnxruntime())
import numpy as np
bundle, rows = Path(sys.argv[1]), np.load(sys.argv[2])
n_account, n_past = int(sys.argv[3]), int(sys.argv[4])
past_features = rows[:n_past, :-n_account]
live_bars = [(row[:-n_account], row[-n_account:]) for row in rows[n_past:]]
"""


def code() -> str:
    """Without the lines that the page leaves to its reader."""
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return "".join(line for line in block.splitlines(keepends=True) if "# yours" not in line)


def test_the_code_of_the_page_decides_as_the_backtest_did(trained: Path, tmp_path: Path) -> None:
    frame = read_table(current("backtest_report").path / "decisions.parquet")
    np.save(tmp_path / "rows.npy", frame.drop(columns=["bar", "action"]).to_numpy(dtype=np.float32))
    policy = load_bundle(current("policy_bundle").path)
    arguments = [
        current("policy_bundle").path,
        tmp_path / "rows.npy",
        len(ACCOUNT_NAMES),
        policy.warm_up_bars,
    ]
    done = subprocess.run(
        [sys.executable, "-c", f"{BEFORE}\n{code()}\nprint(*positions)", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    actions = frame["action"].dropna().to_numpy()
    assert np.array_equal([float(action) for action in done.stdout.split()], actions)
    assert len(np.unique(actions)) > 1


@pytest.fixture
def session(trained: Path) -> ort.InferenceSession:
    path = current("policy_bundle").path / "policy.onnx"
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_the_model_names_itself_its_version_and_the_order_of_its_inputs(
    session: ort.InferenceSession,
) -> None:
    bundle = current("policy_bundle")
    architecture = json.loads((bundle.path / "architecture.json").read_bytes())
    about = session.get_modelmeta().custom_metadata_map
    assert (about["name"], about["version"]) == (f"policy_bundle of {SYMBOL}", bundle.version)
    for key in ("features", "account", "targets", "max_leverage", "window", "warm_up_bars"):
        assert json.loads(about[key]) == architecture[key]
        assert f"| `{key}` |" in PAGE.read_text()


def test_the_page_names_every_input_and_output_with_its_type(session: ort.InferenceSession) -> None:
    types = {"tensor(float)": "float32", "tensor(double)": "float64"}
    for way, values in (("in", session.get_inputs()), ("out", session.get_outputs())):
        for value in values:
            assert f"| {way} | `{value.name}` | {types[value.type]} |" in PAGE.read_text()
            assert len(value.shape) == 1

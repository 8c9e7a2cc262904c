"""Every name that the documentation gives is there, is what it says, and does what its examples do."""

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import trading_assets
from tests.pipeline import SYMBOL
from trading_assets.config.forecasters import FORECASTERS
from trading_assets.execution import load_bundle
from trading_assets.execution.forecasters import FORMS
from trading_assets.features import DatasetBuilder, compute_features
from trading_assets.market import SyntheticMarket
from trading_assets.risk import AccountState

PACKAGE = Path(trading_assets.__file__).parent
ROOT = PACKAGE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "trading_assets."))
PACKAGES = [f"trading_assets.{path.parent.name}" for path in sorted(PACKAGE.glob("*/__init__.py"))]
FOREIGN = {"DummyVecEnv", "DataConversionWarning", "GridSearchCV"} | set(dir(builtins))
SUFFIXES = {"json", "csv", "parquet", "safetensors", "pt", "onnx"}


def exports(package: str) -> dict[str, str]:
    """Names that a package says it exports, and the module of each."""
    source = Path(str(importlib.import_module(package).__file__)).read_text()
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_exports":
            for module, names in ast.literal_eval(node.args[1]).items():
                found |= dict.fromkeys(names, f"{package}.{module}")
        elif isinstance(node, ast.FunctionDef) and node in ast.parse(source).body:
            found[node.name] = package
    own = vars(importlib.import_module(package))
    return found | dict.fromkeys(own.get("__all__", []), package)


EXPORTED = [(package, name, home) for package in PACKAGES for name, home in exports(package).items()]


@pytest.fixture(scope="module", autouse=True)
def everything_imported() -> None:
    """A module that was imported is an attribute of its package, and hides what has its name there."""
    for module in MODULES:
        importlib.import_module(module)


@pytest.mark.parametrize(("package", "name", "home"), EXPORTED)
def test_an_exported_name_is_importable_and_what_its_module_defines(
    package: str, name: str, home: str
) -> None:
    found = getattr(importlib.import_module(package), name)
    assert not isinstance(found, ModuleType)
    assert found is getattr(importlib.import_module(home), name)
    assert callable(found) or name.isupper() or inspect.isroutine(found), name
    if name[0].isupper() and not name.isupper():
        assert inspect.isclass(found)
    elif callable(found):
        assert inspect.isfunction(found)
        assert found.__doc__


def resolve(dotted: str) -> object:
    """What a dotted name stands for; raises `ImportError` or `AttributeError`."""
    parts = dotted.split(".")
    for stop in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:stop]))
        except ModuleNotFoundError:
            continue
        for name in parts[stop:]:
            declared = inspect.get_annotations(found) if inspect.isclass(found) else {}
            found = declared[name] if name in declared else getattr(found, name)
        return found
    raise ImportError(dotted)


def is_there(dotted: str, *bases: str) -> bool:
    for base in ("", *(f"{base}." for base in bases)):
        try:
            resolve(base + dotted)
        except (ImportError, AttributeError):
            continue
        return True
    return False


def codes(text: str) -> Iterator[str]:
    """Names in back quotes, without their arguments."""
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        if match := re.fullmatch(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(\(.*\))?", code):
            yield match[1] + "()" * bool(match[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_name_in_a_page_is_there(page: Path) -> None:
    """Dotted ones from the package, calls and classes wherever they are exported."""
    known = {name for _, name, _ in EXPORTED}
    classes = [
        found for package, name, _ in EXPORTED if inspect.isclass(found := resolve(f"{package}.{name}"))
    ]
    known |= {name for found in classes for name in (*dir(found), *inspect.get_annotations(found))}
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for name in codes(prose):
        last = name.removesuffix("()").split(".")[-1]
        if name.startswith("trading_assets."):
            assert is_there(name.removesuffix("()")), name
        elif name.endswith("()") or re.match("[A-Z]+[a-z]+[A-Z]", last):
            assert last in known | FOREIGN, name


@pytest.mark.parametrize("module", MODULES)
def test_a_dotted_name_or_a_class_in_a_docstring_is_there(module: str) -> None:
    """From the package, from the module's own or from the module; arguments and fields by their names."""
    tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text())
    bases = ("trading_assets", "trading_assets.errors", module.rpartition(".")[0], module)
    exported = {name for _, name, _ in EXPORTED} | FOREIGN
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            continue
        own = {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        own |= {ast.unparse(part.target) for part in ast.walk(node) if isinstance(part, ast.AnnAssign)}
        for code in codes(ast.get_docstring(node) or ""):
            name = code.removesuffix("()")
            first, _, rest = name.partition(".")
            if rest and first not in own and rest.split(".")[-1] not in SUFFIXES:
                assert is_there(name, *bases), name
            elif not rest and re.match("[A-Z]+[a-z]+[A-Z]", name):
                assert name in exported or is_there(name, *bases), name


FEWER = {
    "1_000_000": "1",
    "40_000": "2_000",
    "59_000": "3_000",
    "50_000": "3_000",
    "2_000), 64)": "2_000), 1)",
    "GRUForecaster(seed=0": "GRUForecaster(steps=2, seed=0",
    "gru_calibrator/BTCUSDT": f"gru_calibrator/{SYMBOL}",
}
"""What makes the examples short: fewer steps, bars and environments, and the symbol that tests train."""


def examples(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def given(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The files that the examples open, and the names that they leave to the reader."""
    monkeypatch.setattr("trading_assets.config.forecasters.FORECASTERS", FORECASTERS.copy())
    monkeypatch.setattr("trading_assets.execution.forecasters.FORMS", FORMS.copy())
    bars = SyntheticMarket("price", 1.0, n_bars=6_024, seed=9).bars
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(trained)
    (tmp_path / "folder").mkdir()
    for name in ("BTCUSDT.csv.gz", "EURUSD.csv"):
        bars.iloc[:-24].to_csv(name, index=False)
    page = (ROOT / "docs" / "simulation.md").read_text()
    Path("limits.yaml").write_text(page.split("```yaml\n# limits.yaml")[1].split("```")[0].partition("\n")[2])
    dataset, _ = DatasetBuilder().build(bars)
    features = dataset.features.iloc[dataset.warm_up :]
    bundle = Path(f"data/artifacts/bundles/policy_bundle/{SYMBOL}/current")
    policy = load_bundle(bundle)
    seen = features[policy.observation_names[:-4]].to_numpy()
    last = bars["timestamp"].iloc[-1] + pd.Timedelta(hours=1)
    price = float(bars["close"].iloc[-1])
    return {
        "bars": bars, "new_bars": bars.iloc[-24:], "table": compute_features(bars), "dataset": dataset,
        "features": features, "past_features": seen, "observation": np.append(seen[-1], np.zeros(4)),
        "X": dataset.features.bfill(), "y": dataset.target("direction"), "weight": np.ones(len(dataset)),
        "bundle": bundle, "live_bars": [(row, np.zeros(4)) for row in seen[-3:]],
        "folder": tmp_path / "folder", "past_closes": bars["close"].to_numpy(),
        "time": last, "seen": last.timestamp(),
        "price": price, "equity": 1_000.0, "quantity": 0.0, "traded": 0.0, "orders": 0, "closed_pnl": 0.0,
        "account": AccountState(last.timestamp(), price, 1_000.0, 0.0),
    }  # fmt: skip


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_the_examples_of_a_page_run_one_after_the_other(page: Path, given: dict[str, object]) -> None:
    for example in examples(page):
        code = example
        for many, few in FEWER.items():
            code = code.replace(many, few)
        if "AccountState(time, " in code:  # seconds, and no longer the time of a bar
            given["time"] = given["seen"]
        exec(compile(code, str(page), "exec"), given)

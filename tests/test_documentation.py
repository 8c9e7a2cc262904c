"""Every name that the documentation gives is there, is what it says, and does what its examples do."""

import ast
import builtins
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import trading_assets
from trading_assets.config import Settings
from trading_assets.config.explain import describe
from trading_assets.config.forecasters import FORECASTERS
from trading_assets.execution.forecasters import FORMS
from trading_assets.market import SyntheticMarket

PACKAGE = Path(trading_assets.__file__).parent
ROOT = PACKAGE.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "trading_assets."))
PACKAGES = [f"trading_assets.{path.parent.name}" for path in sorted(PACKAGE.glob("*/__init__.py"))]
FOREIGN = {"DummyVecEnv", "DataConversionWarning", "GridSearchCV"} | set(dir(builtins))
SUFFIXES = {"json", "csv", "parquet", "safetensors", "pt", "onnx"}


def homes(package: str) -> dict[str, str]:
    """The module of every name that a package's source imports under its own name."""
    source = Path(str(importlib.import_module(package).__file__)).read_text()
    return {
        alias.name: str(node.module)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }


EXPORTED = [(package, name, home) for package in PACKAGES for name, home in homes(package).items()]


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


def is_setting(dotted: str) -> bool:
    try:
        describe(Settings, dotted)
    except KeyError:
        return False
    return True


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
                assert is_there(name, *bases) or is_setting(name), name
            elif not rest and re.match("[A-Z]+[a-z]+[A-Z]", name):
                assert name in exported or is_there(name, *bases), name


FEWER = {
    "learn(1_000_000)": "learn(1)",
    "market, 64": "market, 4",
    "GRUForecaster(seed=0": "GRUForecaster(steps=2, seed=0",
}
"""What makes the examples short."""


def examples() -> dict[str, str]:
    """The Python blocks of all pages, by page and number."""
    found = {}
    for page in PAGES:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        found |= {f"{page.stem}_{number}": block for number, block in enumerate(blocks, start=1)}
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def here(trained_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a reader has after the demo, and the files that the pages show."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "data").symlink_to(trained_dir)
    SyntheticMarket("price", 1.0, n_bars=6_000).bars.to_csv(folder / "EURUSD.csv", index=False)
    page = (ROOT / "docs" / "simulation.md").read_text()
    limits = page.split("```yaml\n# limits.yaml")[1].split("```")[0].partition("\n")[2]
    (folder / "limits.yaml").write_text(limits)
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_as_it_stands(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = EXAMPLES[name]
    for many, few in FEWER.items():
        code = code.replace(many, few)
    monkeypatch.chdir(here)
    monkeypatch.setattr("trading_assets.config.forecasters.FORECASTERS", FORECASTERS.copy())
    monkeypatch.setattr("trading_assets.execution.forecasters.FORMS", FORMS.copy())
    exec(compile(code, name, "exec"), {"__name__": name})


def test_type_checkers_find_nothing_wrong_in_any_example(tmp_path: Path) -> None:
    for name, code in EXAMPLES.items():
        (tmp_path / f"{name}.py").write_text(code)
    cache = ROOT / ".mypy_cache" / "examples"
    settings = ["--config-file=", "--ignore-missing-imports", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *settings, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_what_it_exports(package: str) -> None:
    module, names = importlib.import_module(package), sorted(homes(package))
    if names:
        assert sorted(module.__all__) == names == sorted(dir(module))
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018

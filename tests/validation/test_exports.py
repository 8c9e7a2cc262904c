"""What `from trading_assets.validation import ...` offers."""

import ast
import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import trading_assets.validation as package

FOLDER = Path(package.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_class_and_function_can_be_imported_from_the_package(module: str):
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    public = [name for name in names if not name.startswith(("_", "check_"))]
    assert public
    home = import_module(f"trading_assets.validation.{module}")
    for name in public:
        assert getattr(package, name) is getattr(home, name)


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_documentation_are_true(module: str):
    assert doctest.testmod(import_module(f"trading_assets.validation.{module}")).failed == 0


def test_splitters_load_neither_numba_nor_a_plotting_or_learning_library():
    code = (
        "import sys; from trading_assets.validation import PurgedKFold, sharpe_ratio; "
        "print([m for m in ('numba', 'sklearn', 'matplotlib', 'arch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Every name that a package exports says what it takes and gives, and shows it in an example that runs."""

import doctest
import inspect
import re
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

import pytest

import trading_assets

PACKAGES = [f"trading_assets.{one.name}" for one in iter_modules(trading_assets.__path__) if one.ispkg]


def exports() -> dict[str, Any]:
    """Functions and classes by package and name."""
    found = {}
    for package in PACKAGES:
        module = import_module(package)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[f"{package.removeprefix('trading_assets.')}.{name}"] = value
    return found


EXPORTS = exports()
FUNCTIONS = {name: value for name, value in EXPORTS.items() if inspect.isfunction(value)}


def section(text: str, name: str) -> str:
    """What stands below a heading of numpydoc, up to the next one."""
    found = re.search(rf"^{name}\n-+\n(.*?)(?=^\w+\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_documents_every_parameter_and_what_it_returns(name: str) -> None:
    function = FUNCTIONS[name]
    text = inspect.getdoc(function) or ""
    heads = re.findall(r"^(\w[\w, *]*)(?: :|$)", section(text, "Parameters"), re.MULTILINE)
    documented = {one.strip(" *") for head in heads for one in head.split(",")}
    assert set(inspect.signature(function).parameters) <= documented
    if inspect.signature(function).return_annotation not in {None, "None"}:
        assert section(text, "Returns") or section(text, "Yields")


@pytest.mark.parametrize("name", EXPORTS)
def test_every_export_has_an_example(name: str) -> None:
    """Its own, or that of the function or class it names."""
    example = section(inspect.getdoc(EXPORTS[name]) or "", "Examples")
    assert ">>>" in example or re.match(r"See `[\w.]+`", example)


def documented_modules() -> list[ModuleType]:
    homes = sorted({value.__module__ for value in EXPORTS.values()})
    return [import_module(home) for home in homes if home.startswith("trading_assets.")]


@pytest.mark.parametrize("module", documented_modules(), ids=lambda module: module.__name__)
def test_the_examples_are_true(module: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctest.testmod(module).failed == 0, capsys.readouterr().out

"""Public names of a package, imported only when somebody asks for them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import getsource
from typing import Any

Exports = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def lazy_exports(package: str) -> Exports:
    """`__getattr__`, `__dir__` and `__all__` of a package whose names stand in its `if TYPE_CHECKING:`.

    Type checkers and editors read the imports of that block; at run time each is made when its name is asked
    for. What the package's `__init__` imports or defines outside of it under the same rule (`import x as x`)
    is public too.

    Parameters
    ----------
    package : str
        `__name__` of the package.

    Examples
    --------
    >>> import trading_assets.risk
    >>> get, _, names = lazy_exports("trading_assets.risk")
    >>> "RiskAgent" in names, get("RiskAgent").__name__
    (True, 'RiskAgent')
    """
    homes = _imports(package)
    names = sorted(homes)

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(homes[name]), name)

    def __dir__() -> list[str]:  # noqa: N807
        return names

    return __getattr__, __dir__, names


def _imports(package: str) -> dict[str, str]:
    """The module of every name that the package's source imports under its own name (`import x as x`)."""
    source = getsource(sys.modules[package])
    return {
        alias.name: node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if alias.asname == alias.name
    }

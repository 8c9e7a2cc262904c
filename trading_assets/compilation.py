"""The one home of compiled code: every numba kernel of the package goes through `compiled` or `inner`.

numba finds a function in its cache by the date of that function's own file, and does not see that a function
which it calls, from another file, has changed. Here the cache is a folder named after a digest of every
module that holds compiled code, with the versions of numba, LLVM and Python and the processor: after a change
of any of them everything is compiled anew, and nothing is ever stale.
"""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])
PACKAGE = Path(__file__).parent
UNUSED_DAYS = 30
"""After which the compiled code of other versions is deleted."""
_COMPILES = re.compile(rb"^from trading_assets\.compilation import .*\b(compiled|inner)\b", re.MULTILINE)
_IMPORT = re.compile(rb"^from (trading_assets[\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
_CONSTANT = re.compile(rb"\b[A-Z][A-Z0-9_]+\b")
_WITHOUT_WRAPPERS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


@overload
def compiled(function: F) -> F: ...
@overload
def compiled(function: None = None, **options: Any) -> Callable[[F], F]: ...
def compiled(function: F | None = None, **options: Any) -> F | Callable[[F], F]:
    """Compile a function, or find what was compiled earlier.

    Parameters
    ----------
    function : callable
        A module's own, with no closure over other compiled functions, or no later process would find it.
    options
        Of `numba.njit`; division by zero gives inf or NaN unless `error_model` is 'python'.

    Examples
    --------
    >>> @compiled
    ... def double(x):
    ...     return 2 * x
    >>> double(1.5)
    3.0
    """
    if function is None:
        return lambda one: _compile(one, options)
    return _compile(function, options)


def inner(function: F) -> F:
    """Compile what only compiled functions call; without a way in from Python it takes less time."""
    return _compile(function, _WITHOUT_WRAPPERS)


@cache
def source_digest() -> str:
    """Digest of the code of every module that compiles something; comments and docstrings do not count.

    It takes a quarter of a second, and is kept beside the compiled code for sources that are the same.
    """
    known = _root() / f"{_hash(path.read_bytes() for path in _modules())}.source"
    if known.is_file():
        return known.read_text()
    digest = _hash(_code_of(path) for path in _modules())
    known.parent.mkdir(parents=True, exist_ok=True)
    draft = known.with_suffix(f".{os.getpid()}")
    draft.write_text(digest)
    draft.replace(known)
    return digest


def cache_folder() -> Path:
    """Where this version's compiled code is: below NUMBA_CACHE_DIR where set, else in the user's cache."""
    return _root() / _version()


def _compile(function: F, options: dict[str, Any]) -> F:
    import numba

    config: Any = numba.config
    # numba looks at its own setting only when a function is decorated.
    before, config.CACHE_DIR = config.CACHE_DIR, str(_prepared())
    try:
        dispatcher: F = numba.njit(**{"cache": _has_a_file(function), "error_model": "numpy", **options})(
            function
        )
    finally:
        config.CACHE_DIR = before
    return dispatcher


def _has_a_file(function: Callable[..., Any]) -> bool:
    """Not in a notebook or a shell, where there is nothing that a later process could compare."""
    return function.__module__ != "__main__" and Path(function.__code__.co_filename).is_file()


def _modules() -> list[Path]:
    """Files of the package that compile something, those they take constants from, and this one."""
    compiling = {path for path in PACKAGE.rglob("*.py") if _COMPILES.search(path.read_bytes())}
    constants = {
        PACKAGE.parent / f"{module.decode().replace('.', '/')}.py"
        for path in compiling
        for module, names in _IMPORT.findall(path.read_bytes())
        if _CONSTANT.search(names)
    }
    return sorted(compiling | {path for path in constants if path.is_file()} | {Path(__file__)})


def _code_of(path: Path) -> bytes:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return f"{path.relative_to(PACKAGE).as_posix()}\n{ast.dump(tree)}\n".encode()


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


@cache
def _version() -> str:
    import llvmlite
    import numba
    from llvmlite import binding

    config: Any = numba.config
    machine = [numba.__version__, llvmlite.__version__, sys.version, platform.machine()]
    machine += [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    machine += [str(config.CPU_NAME), str(config.CPU_FEATURES)]
    return _hash(["\n".join(machine).encode(), *(path.read_bytes() for path in _modules())])


@cache
def _root() -> Path:
    """The first folder of these that can be written to."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    shared = Path(tempfile.gettempdir()) / f"trading_assets-{os.getuid()}"
    for folder in (Path(chosen) if chosen else home / "trading_assets", shared):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder / "compiled"
    return Path(tempfile.mkdtemp(prefix="trading_assets-")) / "compiled"


@cache
def _prepared() -> Path:
    """This version's folder, noted as used; those of others that were not used for long are deleted."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    oldest = time.time() - UNUSED_DAYS * 86_400
    for other in folder.parent.iterdir():
        if other.is_dir() and other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)
    return folder

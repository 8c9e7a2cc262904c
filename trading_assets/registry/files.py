"""Files and folders that are there whole or not at all, after a kill and after a loss of power alike."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

LEFT_BEHIND_SECONDS = 3600.0
"""A draft that nobody touched for so long belongs to a process that died."""


def replace_file(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a crash leaves the old content or the new one, never a part."""
    with replacing(path) as draft:
        draft.write_bytes(content)


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON for people and programs to read; numbers that are not finite become null."""
    from pydantic_core import to_json  # a machine that only runs bundles has no pydantic

    path.write_bytes(to_json(value, indent=1, inf_nan_mode="null") + b"\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft to write inside the block, which then takes the place of `path` at once and for good.

    Where the block raises, `path` stays as it was. Drafts that killed processes left are deleted.
    """
    make_folder(path.parent)
    for left in path.parent.glob(f".{escape(path.name)}-*.partial"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > LEFT_BEHIND_SECONDS:
                left.unlink()
    draft = path.with_name(f".{path.name}-{os.getpid()}.partial")
    try:
        yield draft
        sync(draft)
        rename(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Rename within a folder so that it lasts: without the folder's own fsync a loss of power undoes it."""
    source.replace(target)
    sync(target.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that they last."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync(folder.parent)


def sync_tree(folder: Path) -> None:
    """Have the disk hold a folder and all below it."""
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

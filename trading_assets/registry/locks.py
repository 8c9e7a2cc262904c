"""Locks between processes that end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock file at `path` inside the block, and delete it afterwards.

    Parameters
    ----------
    path : Path
    wait : bool
        Until another holder is done; otherwise nothing is held then.

    Yields
    ------
    bool
        Whether the lock is held.
    """
    while True:
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            if not _is_at(file.fileno(), path):
                continue  # the holder before has deleted it, and another may hold the one there now
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

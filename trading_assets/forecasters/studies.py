"""Where a search keeps its trials: a storage that several processes share, and that outlives each of them.

A storage is the path of a journal or a database URL of Optuna's. A process says that it is alive by a lock on
a file, which the kernel frees whatever ends the process; no time of waiting, no process id can mislead.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import optuna
from filelock import BaseFileLock, FileLock, Timeout
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from trading_assets.errors import ArtifactError, SettingsError

_FIRST = b'{"op_code"'
"""How a journal of Optuna's begins."""


def open_storage(storage: str) -> optuna.storages.BaseStorage:
    """The storage, made where there is none.

    Raises
    ------
    SettingsError
        When the file is something else than a journal.
    ArtifactError
        When a journal is damaged elsewhere than at its end, where a process that was killed may have left
        half a record.
    """
    if "://" in storage:
        return optuna.storages.RDBStorage(storage)
    Path(storage).parent.mkdir(parents=True, exist_ok=True)
    Path(storage).touch()
    with gate(storage):
        _cut_torn_end(Path(storage))
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(storage, _JournalLock(storage)))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"The journal of searches {storage} is damaged ({error}); move it away to search anew."
        ) from None


def gate(storage: str) -> BaseFileLock:
    """Only one process at a time is inside; one object a process, so that who is inside may enter again."""
    return FileLock(f"{_stem(storage)}.gate", is_singleton=True)


@contextmanager
def owner(storage: str) -> Iterator[str]:
    """The name of an owner of trials, who is alive while the block runs."""
    name = f"{socket.gethostname()}-{uuid4().hex}"
    path = _life(storage, name)
    with FileLock(path):
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def is_alive(storage: str, name: str) -> bool:
    """Whether an owner holds its lock."""
    path = _life(storage, name)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
            return False
    except (Timeout, PermissionError):  # held, or another user's
        return True


def is_dead(storage: str, name: str) -> bool:
    """Whether an owner holds its lock no more; of those on another host of a database it is not known."""
    here = "://" not in storage or name.rpartition("-")[0] == socket.gethostname()
    return here and not is_alive(storage, name)


class _JournalLock(JournalFileOpenLock):
    """Unlike Optuna's it is free when its holder has died, and what that one wrote half is cut off."""

    def __init__(self, storage: str) -> None:
        self._path, self._gate = Path(storage), gate(storage)

    def acquire(self) -> bool:
        with self._gate:
            _cut_torn_end(self._path)
            self._gate.acquire()
        return True

    def release(self) -> None:
        self._gate.release()


def _cut_torn_end(path: Path) -> None:
    """Cut off a last line that is no whole record; appended to, it would make the journal unreadable."""
    content = path.read_bytes()
    if not content.startswith(_FIRST[: len(content)]):
        raise SettingsError(f"{path} is no journal of Optuna's; name another file for the search.")
    last = content.rfind(b"\n", 0, len(content) - 1) + 1
    if content and not _is_record(content[last:]):
        os.truncate(path, last)


def _is_record(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _life(storage: str, name: str) -> Path:
    return Path(f"{_stem(storage)}.{name}.alive")


def _stem(storage: str) -> str:
    """What paths of lock files begin with: beside a journal, else in this machine's temporary folder."""
    if "://" not in storage:
        return str(Path(storage).absolute())
    return f"{tempfile.gettempdir()}/trading-assets-{hashlib.sha256(storage.encode()).hexdigest()[:16]}"

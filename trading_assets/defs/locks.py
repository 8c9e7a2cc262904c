"""File locks that say who holds them, and that a dead process cannot keep."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from trading_assets.registry.locks import hold

BEAT_SECONDS = 15.0
SILENT_SECONDS = 120.0
"""Without a beat for so long, a holder on another host is dead: locks need not reach across hosts."""
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    host: str
    pid: int
    since: float
    """Seconds since 1970."""

    def __str__(self) -> str:
        since = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} on {self.host}, since {since}"


@contextmanager
def locked(path: Path, wait: Callable[[Holder | None], None]) -> Iterator[None]:
    """Hold the lock, and beat; while another process holds it, call `wait` with the holder, once for each.

    The lock is the kernel's (flock), so it ends with the process, whatever number a later process gets.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    reported: Holder | None = None
    while True:
        with hold(path, wait=False) as held:
            if held:
                me = Holder(socket.gethostname(), os.getpid(), time.time())
                path.write_text(json.dumps(asdict(me)))
                with _beating(path):
                    yield
                return
        holder = holder_of(path)
        if reported is None or holder != reported:
            reported = holder
            wait(holder)
        time.sleep(POLL_SECONDS)


def holder_of(path: Path) -> Holder | None:
    """Who holds or last held the lock; None where there is none, or it is not written yet."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def is_abandoned(path: Path) -> bool:
    """Whether the lock's file is there though the process that made it is dead."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        holder = holder_of(path)
        if holder is not None and holder.host != socket.gethostname():
            return time.time() - os.fstat(descriptor).st_mtime > SILENT_SECONDS
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return holder is not None and os.fstat(descriptor).st_nlink > 0
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def _beating(path: Path) -> Iterator[None]:
    """Touch the file now and then for as long as the block lasts."""
    ended = threading.Event()
    threading.Thread(target=_beat, args=(path, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _beat(path: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_SECONDS):
        try:
            os.utime(path)
        except OSError:
            return

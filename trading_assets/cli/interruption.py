"""Being asked to stop: SIGTERM and SIGHUP do what Ctrl-C does, and no worker outlives the command."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection
from types import FrameType

GRACE_SECONDS = 20.0
"""What a worker gets to put things away once it was asked to stop."""
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Have both signals raise `KeyboardInterrupt(number)` inside the block; ignored ones (nohup) stay so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """As a shell reports a process that ended by the signal."""
    return 128 + (interrupt.args[0] if interrupt.args else signal.SIGINT)


def follow_parent() -> None:
    """In a worker: be interrupted by the command alone, and also when it is no more."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _SIGNALS:
        signal.signal(number, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(GRACE_SECONDS)
        os._exit(1)

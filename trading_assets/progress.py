"""How far a long step is, told by domain code to whoever listens (a terminal, Dagster's log, nobody)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float, str], None]

_listener: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)


def report(fraction: float, text: str = "") -> None:
    """Tell the listener, if there is one, that `fraction` (0 to 1) of the step is done."""
    listener = _listener.get()
    if listener is not None:
        listener(min(max(fraction, 0.0), 1.0), text)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send every `report` made inside the block to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)

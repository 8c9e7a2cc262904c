"""What a sensor remembers of each symbol between two looks, and when it may ask for a run again.

Memory only saves work: the stored artifacts decide whether anything has to run, so a cursor that was reset
or is damaged costs one look at everything and no run.
"""

import time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

WAITS = (300.0, 1_800.0, 7_200.0)
"""Seconds from one request for the same thing to the next; after the last one it is given up."""


class Memory(BaseModel):
    """Of one symbol."""

    model_config = ConfigDict(extra="forbid", validate_assignment=False)

    look: str = ""
    """Sizes, times and numbers of its files at the last look."""
    digest: str = ""
    """Of the content of its files, where that look has settled."""
    done: str = ""
    """The state of things in which nothing has to run."""
    wanted: str = ""
    """What was asked for last."""
    tries: Annotated[int, Field(ge=0)] = 0
    at: float = 0.0
    """When it was asked for last, seconds since 1970."""

    def ask(self, wanted: str) -> str:
        """Note a request for `wanted` and answer nothing, or answer why none may be made now."""
        if self.wanted != wanted:
            self.wanted, self.tries = wanted, 0
        if self.tries > len(WAITS):
            return f"given up after {self.tries} runs until its file or its settings change"
        again = self.at + WAITS[self.tries - 1] if self.tries else 0.0
        now = time.time()
        if now < again:
            at = time.strftime("%H:%M:%S", time.localtime(again))
            return f"run {self.tries} did not bring it up to date, the next is asked for at {at}"
        self.tries, self.at = self.tries + 1, now
        return ""


_CURSOR = TypeAdapter(dict[str, Memory])


def read_cursor(cursor: str | None) -> dict[str, Memory]:
    """What a cursor holds; nothing where it is missing or not one of ours."""
    try:
        return _CURSOR.validate_json(cursor or "{}")
    except ValidationError:
        return {}


def write_cursor(memories: dict[str, Memory]) -> str:
    return _CURSOR.dump_json(memories, exclude_defaults=True).decode()

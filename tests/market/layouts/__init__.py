"""Files as other people's tools write them, made up; every module enters its own into `LAYOUTS`."""

from tests.market.layouts import exports, files, headers, numbers, origins_and_ends, rows_and_times
from tests.market.layouts.table import LAYOUTS, Layout

__all__ = [
    "LAYOUTS",
    "Layout",
    "exports",
    "files",
    "headers",
    "numbers",
    "origins_and_ends",
    "rows_and_times",
]

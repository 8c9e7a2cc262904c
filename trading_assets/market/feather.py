"""Feather files of both versions."""

from __future__ import annotations

import warnings
from typing import Any

import pyarrow as pa
import pyarrow.feather as pafeather


def read_feather(source: Any) -> pa.Table:
    """The table of a file or path; version 1, which pyarrow calls deprecated, is what people still have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pafeather.read_table(source)

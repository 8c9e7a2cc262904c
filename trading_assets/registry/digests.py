"""Digests: the same content gives the same text on every machine, at every time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 32
"""Hexadecimal digits kept of a sha256 where it is a name; manifests keep all 64."""


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces; NaN is refused because it is not JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_json(value: object) -> str:
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:LENGTH]


def digest_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of named arrays: names, types, shapes and bytes, in the order given."""
    state = hashlib.sha256()
    for name, array in arrays.items():
        state.update(canonical_json([name, array.dtype.str, list(array.shape)]).encode())
        state.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return state.hexdigest()[:LENGTH]


def digest_files(folder: Path, names: Iterable[str]) -> str:
    """Digest of the named files of a folder: names and bytes, in sorted order."""
    return digest_json({name: sha256_file(folder / name) for name in sorted(names)})


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Arrays on disk: safetensors files whose bytes depend on nothing but their content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from trading_assets.errors import ArtifactError
from trading_assets.registry.digests import canonical_json

Arrays = dict[str, NDArray[Any]]
_ABOUT = "about"


def save_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], about: object = None) -> None:
    """Write arrays, and JSON that describes them.

    safetensors writes the bytes of a strided array in the order of its memory, which is not that of its
    rows, and two keys of metadata in another order in every process; so arrays are laid out first, and
    there is one key.
    """
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    save_file(plain, path, None if about is None else {_ABOUT: canonical_json(about)})


def load_tensors(path: Path) -> tuple[Arrays, Any]:
    """The arrays of a file, by name, and what `save_tensors` was told about them.

    Raises
    ------
    ArtifactError
        When the file cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            about = (file.metadata() or {}).get(_ABOUT)
        return arrays, None if about is None else json.loads(about)
    except (
        OSError,
        SafetensorError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ) as error:
        raise ArtifactError(
            f"{path} cannot be read ({type(error).__name__}: {error}); restore it from a copy or build it "
            "again."
        ) from None

"""The list of a folder's files with their sizes and hashes, checked before anything in it is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trading_assets.errors import ArtifactError
from trading_assets.registry.digests import sha256_file

NAME = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` over every file below `folder`: path, size and SHA-256 of each.

    Parameters
    ----------
    folder : Path

    Examples
    --------
    See `verify_manifest`.
    """
    files = [
        {
            "path": path.relative_to(folder).as_posix(),
            "size": path.stat().st_size,
            "sha256": sha256_file(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / NAME
    ]
    (folder / NAME).write_text(json.dumps({"format": 1, "files": files}, indent=1) + "\n")


def verify_manifest(folder: Path) -> dict[str, Any]:
    """Check that `folder` holds exactly the files of its manifest, byte for byte.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ArtifactError
        When a file is missing, extra, changed, or a symbolic link; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     folder = Path(name)
    ...     _ = (folder / "answer.txt").write_text("42")
    ...     write_manifest(folder)
    ...     manifest = verify_manifest(folder)
    >>> len(manifest["files"])
    1
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / NAME).read_bytes())
        expected = {entry["path"]: (entry["size"], entry["sha256"]) for entry in manifest["files"]}
    except FileNotFoundError:
        raise ArtifactError(f"{folder} has no {NAME}; it is not a finished artifact.") from None
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise ArtifactError(
            f"{folder / NAME} is damaged; restore it from a copy or delete the folder and build it again."
        ) from None
    links = [path for path in folder.rglob("*") if path.is_symlink()]
    if links:
        raise ArtifactError(f"{links[0]} is a symbolic link; a verified folder holds plain files only.")
    files_there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    files_there.pop(NAME, None)
    for name in sorted(expected.keys() ^ files_there.keys(), key=str):
        problem = "is missing from" if name in expected else "is not in the manifest of"
        raise ArtifactError(
            f"{name} {problem} {folder}; restore it from a copy or delete the folder and build it again."
        )
    for name, (size, sha256) in expected.items():
        if files_there[name].stat().st_size != size or sha256_file(files_there[name]) != sha256:
            raise ArtifactError(
                f"{files_there[name]} was changed after it was written (its sha256 differs from the "
                "manifest); restore it from a copy or delete the folder and build it again."
            )
    return manifest

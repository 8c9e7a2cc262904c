"""What decides an artifact (`Recipe`), what a build reports (`BuildResult`), its name (`ArtifactRef`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from trading_assets.registry.digests import digest_json
from trading_assets.registry.manifest import verify_manifest

Category = Literal["tables", "models", "bundles", "reports"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides an artifact's content.

    Examples
    --------
    >>> parts = {"category": "tables", "kind": "bars", "symbol": "A", "settings": {}, "inputs": {}}
    >>> Recipe(method=1, **parts).digest == Recipe(method=2, **parts).digest
    False
    """

    category: Category
    kind: str
    symbol: str
    method: int
    """Number that the method's author raises when its results change."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Data versions of the artifacts it is made from, by kind."""
    code: str = ""
    """Digest of all compiled code."""

    @cached_property
    def method_digest(self) -> str:
        return digest_json({"method": self.method, "settings": self.settings, "code": self.code})

    @cached_property
    def digest(self) -> str:
        return digest_json(asdict(self))

    def data_version(self, identity: str | None = None) -> str | None:
        """What names the content to those made from it: of a table its identity, of all else the recipe.

        Parameters
        ----------
        identity : str, optional
            Of what was built; a table's data version is None before.
        """
        return identity if self.category == "tables" else self.digest


@dataclass(frozen=True, kw_only=True)
class Check:
    """Whether something is as it should be; a failed one warns and stops nothing."""

    passed: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a person wants to see of an artifact at one look.

    Examples
    --------
    >>> Summary(numbers={"rows": 3}).numbers["rows"]
    3
    """

    numbers: Mapping[str, float | int | str] = field(default_factory=dict)
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    """PNG files in the artifact's folder."""
    notes: tuple[str, ...] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if twice := set(self.numbers) & set(self.tables):
            raise ValueError(f"{', '.join(twice)} would be a number and a table under one name.")


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """What a build says of the folder it has filled.

    Examples
    --------
    See `ArtifactStore`.
    """

    identity: str
    """Digest of what the artifact is: rows, weights; not of exports or measurements."""
    summary: Summary = Summary()
    details: Mapping[str, Any] = field(default_factory=dict)
    """Measurements for programs to read, as JSON."""
    contract: str = ""
    """Digest of what a consumer relies on; another contract makes a new major version."""
    sharpe: float | None = None
    """Per bar, net of costs, of what was fitted; for the ledger of trials."""
    alternatives: int = 1
    """How many were looked at, and one kept; for the ledger of trials."""
    stamp: Callable[[str], object] | None = None
    """Writes the version that the artifact is going to have into its files."""


@dataclass(frozen=True, kw_only=True)
class ArtifactRef:
    """Names one immutable version of an artifact. Small: it travels between assets in its place.

    Examples
    --------
    See `ArtifactStore`.
    """

    kind: str
    symbol: str
    version: str
    data_version: str
    """Content digest of a table, recipe digest of everything else."""
    identity: str
    recipe: str
    path: Path

    def open(self) -> Path:
        """The folder, after every file in it was checked against the manifest."""
        verify_manifest(self.path)
        return self.path

    @cached_property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = json.loads((self.path / "metadata.json").read_bytes())
        return metadata

    @property
    def built_at(self) -> datetime:
        return datetime.fromisoformat(self.metadata["built_at"])

    @property
    def summary(self) -> Summary:
        stored = self.metadata["summary"]
        return Summary(
            numbers={
                name: float("nan") if value is None else value for name, value in stored["numbers"].items()
            },
            tables=stored["tables"],
            pictures=tuple(stored["pictures"]),
            notes=tuple(stored["notes"]),
            checks={name: Check(**check) for name, check in stored["checks"].items()},
        )

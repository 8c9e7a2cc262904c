"""Immutable versions of artifacts in folders, found by recipe, built once, written whole or not at all.

{root}/{category}/{kind}/{symbol}/{version}/     an artifact: its files, metadata.json, manifest.json
{root}/{category}/{kind}/{symbol}/current        link to the version in force
{root}/{category}/{kind}/{symbol}/recipes/{..}   the version each recipe led to
{root}/locks/                                    one lock a recipe
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from filelock import FileLock
from semver import Version

from trading_assets.errors import ArtifactError
from trading_assets.registry.artifacts import ArtifactRef, Built, Category, Recipe
from trading_assets.registry.digests import canonical_json, digest_json
from trading_assets.registry.files import replace_file
from trading_assets.registry.manifest import write_manifest

CATEGORIES: tuple[Category, ...] = ("tables", "models", "bundles", "reports")
TABLE_VERSIONS_KEPT = 3
"""Tables can be made again from bars, and every new bar makes a version; models are never deleted."""

Inputs = dict[str, ArtifactRef]
Outcome = Literal["cached", "built", "unchanged", "not reproduced"]
"""`unchanged`: built, and the same as before; `not reproduced`: same recipe, another content."""


@dataclass(frozen=True)
class Obtained:
    """An artifact and how it was come by."""

    ref: ArtifactRef
    outcome: Outcome
    reason: str
    """Why it was found, or why it had to be built."""


class ArtifactStore:
    """The artifacts below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self, category: Category, kind: str, symbol: str) -> ArtifactRef | None:
        """The version in force, if there is one."""
        link = self._shelf(category, kind, symbol) / "current"
        return self._ref(link.resolve()) if link.is_symlink() and link.exists() else None

    def version_in_force(self, category: Category, kind: str, symbol: str) -> str:
        """Its name, empty where there is none; one system call, nothing is read."""
        try:
            return str((self._shelf(category, kind, symbol) / "current").readlink())
        except OSError:
            return ""

    def find(self, recipe: Recipe) -> ArtifactRef | None:
        """The version that `recipe` led to, in force or not."""
        shelf = self._shelf(recipe.category, recipe.kind, recipe.symbol)
        try:
            version = (shelf / "recipes" / recipe.digest).read_text()
        except FileNotFoundError:
            return None
        known = Version.is_valid(version) and (shelf / version).is_dir()
        return self._ref(shelf / version) if known else None

    def is_current(self, recipe: Recipe) -> bool:
        """Whether nothing has to be done to have what `recipe` describes in force."""
        found = self.find(recipe)
        now = self.current(recipe.category, recipe.kind, recipe.symbol)
        return found is not None and now is not None and found.version == now.version

    def history(self, category: Category, kind: str, symbol: str) -> list[ArtifactRef]:
        """All versions, oldest first."""
        shelf = self._shelf(category, kind, symbol)
        return [self._ref(shelf / str(version)) for version in self._versions(shelf)]

    def all_current(self, category: Category) -> Iterator[ArtifactRef]:
        """The versions in force of every kind and symbol of a category."""
        for link in sorted((self.root / category).glob("*/*/current")):
            if link.exists():
                yield self._ref(link.resolve())

    def obtain(
        self,
        recipe: Recipe,
        inputs: Inputs,
        build: Callable[[Path], Built],
        *,
        rebuild: bool = False,
    ) -> Obtained:
        """Make what `recipe` describes the current version: found if it exists, built if not.

        Two processes that ask for one recipe at once build it once; the second waits and finds it.
        `build` fills an empty folder; if it raises, or the process dies, nothing of it is kept.

        Parameters
        ----------
        recipe : Recipe
        inputs : dict of str to ArtifactRef
            Recorded with the artifact as its chain of dependency.
        build : callable
            Called with the folder to fill.
        rebuild : bool
            Build even if the recipe is known, and say whether the same came out.
        """
        shelf = self._shelf(recipe.category, recipe.kind, recipe.symbol)
        (shelf / "recipes").mkdir(parents=True, exist_ok=True)
        locks = self.root / "locks"
        locks.mkdir(exist_ok=True)
        with FileLock(locks / f"{recipe.digest}.lock"):
            shelf_lock = FileLock(locks / f"{recipe.kind}@{recipe.symbol}.lock")
            with shelf_lock:
                known = self.find(recipe)
                if known is not None and not rebuild:
                    _point(shelf / "current", known.version)
                    return Obtained(known, "cached", f"version {known.version} has the same recipe")
                reason = "asked to build again" if rebuild else self._what_changed(recipe)
            staging = shelf / f".building-{recipe.digest}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                wall, cpu = time.perf_counter(), time.process_time()
                built = build(staging)
                taken = {
                    "build_seconds": round(time.perf_counter() - wall, 3),
                    "build_cpu_seconds": round(time.process_time() - cpu, 3),
                }
                with shelf_lock:
                    return Obtained(*self._keep(recipe, inputs, built, taken, staging, known), reason)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _keep(
        self,
        recipe: Recipe,
        inputs: Inputs,
        built: Built,
        taken: dict[str, float],
        staging: Path,
        known: ArtifactRef | None,
    ) -> tuple[ArtifactRef, Outcome]:
        shelf = staging.parent
        made_from = {name: {"version": ref.version, "identity": ref.identity} for name, ref in inputs.items()}
        same = known or (self._twin(shelf, built, made_from) if recipe.category == "tables" else None)
        outcome: Outcome = "built"
        if same is not None and same.identity == built.identity and _is_whole(same):
            version, outcome = same.version, "unchanged"
        else:
            version = self._next_version(shelf, recipe, built)
            data_version = built.identity if recipe.category == "tables" else recipe.digest
            if known is not None and known.identity != built.identity:
                outcome = "not reproduced"
                data_version = digest_json([recipe.digest, built.identity])
            metadata = {
                "kind": recipe.kind,
                "symbol": recipe.symbol,
                "version": version,
                "identity": built.identity,
                "data_version": data_version,
                "contract": built.contract,
                "recipe_digest": recipe.digest,
                "method_digest": recipe.method_digest,
                "recipe": asdict(recipe),
                "inputs": made_from,
                "summary": asdict(built.summary),
                "details": dict(built.details),
                "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
                **taken,
                "python": platform.python_version(),
            }
            (staging / "metadata.json").write_text(json.dumps(metadata, indent=1) + "\n")
            write_manifest(staging)
            _sync(staging)
            staging.replace(shelf / version)
            _sync_path(shelf)
        replace_file(shelf / "recipes" / recipe.digest, version.encode())
        _point(shelf / "current", version)
        if recipe.category == "tables":
            for old in self._versions(shelf)[:-TABLE_VERSIONS_KEPT]:
                if str(old) != version:
                    shutil.rmtree(shelf / str(old))
        return self._ref(shelf / version), outcome

    def _what_changed(self, recipe: Recipe) -> str:
        """How `recipe` differs from that of the version in force."""
        now = self.current(recipe.category, recipe.kind, recipe.symbol)
        if now is None:
            return "nothing was there yet"
        before = now.metadata["recipe"]
        after = json.loads(canonical_json(asdict(recipe)))
        changes = [f"method {before['method']} is now {after['method']}"] * (
            before["method"] != after["method"]
        )
        for part, word in (("settings", ""), ("inputs", "input ")):
            for name in sorted(before[part].keys() | after[part].keys()):
                old, new = before[part].get(name), after[part].get(name)
                changes += [f"{word}{path} changed" for path in _differences(name, old, new)]
        return f"since version {now.version}: " + (", ".join(changes) or "its recipe is not on record")

    def _twin(self, shelf: Path, built: Built, made_from: Mapping[str, object]) -> ArtifactRef | None:
        """A version with the same content and findings, made from the same inputs under another recipe."""

        def told(ref: ArtifactRef) -> list[str]:
            summary = ref.metadata["summary"]
            return [ref.identity, json.dumps([ref.metadata["inputs"], summary["numbers"], summary["tables"]])]

        wanted = [built.identity, json.dumps([made_from, built.summary.numbers, built.summary.tables])]
        refs = (self._ref(shelf / str(version)) for version in reversed(self._versions(shelf)))
        return next((ref for ref in refs if told(ref) == wanted), None)

    def _next_version(self, shelf: Path, recipe: Recipe, built: Built) -> str:
        """Another contract: major. Same contract, other method: minor. Same method, other data: patch."""
        versions = self._versions(shelf)
        if not versions:
            return "1.0.0"
        last = self._ref(shelf / str(versions[-1])).metadata
        if last["contract"] != built.contract:
            return str(versions[-1].bump_major())
        if last["method_digest"] != recipe.method_digest:
            return str(versions[-1].bump_minor())
        return str(versions[-1].bump_patch())

    def _versions(self, shelf: Path) -> list[Version]:
        if not shelf.is_dir():
            return []
        return sorted(Version.parse(path.name) for path in shelf.iterdir() if Version.is_valid(path.name))

    def _shelf(self, category: Category, kind: str, symbol: str) -> Path:
        return self.root / category / kind / symbol

    def _ref(self, path: Path) -> ArtifactRef:
        try:
            metadata = json.loads((path / "metadata.json").read_bytes())
            return ArtifactRef(
                kind=metadata["kind"],
                symbol=metadata["symbol"],
                version=metadata["version"],
                data_version=metadata["data_version"],
                identity=metadata["identity"],
                recipe=metadata["recipe_digest"],
                path=path,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{path} is damaged ({type(error).__name__}: {error}); delete the folder to have it "
                "built again."
            ) from None


def _differences(name: str, old: object, new: object) -> list[str]:
    """Dotted names below `name` whose values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            path
            for key in sorted(old.keys() | new.keys())
            for path in _differences(f"{name}.{key}", old.get(key), new.get(key))
        ]
    return [] if old == new else [name]


def _point(link: Path, version: str) -> None:
    if link.is_symlink() and link.readlink() == Path(version):
        return
    temporary = link.with_name(f".current-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(version)
    temporary.replace(link)


def _is_whole(ref: ArtifactRef) -> bool:
    try:
        ref.open()
    except ArtifactError:
        return False
    return True


def _sync(folder: Path) -> None:
    """Have the disk hold every file before the folder gets its final name."""
    for path in [*folder.rglob("*"), folder]:
        _sync_path(path)


def _sync_path(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

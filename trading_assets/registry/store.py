"""Immutable versions of artifacts in folders, found by recipe, built once, written whole or not at all.

{root}/{category}/{kind}/{symbol}/{version}/     an artifact: its files, metadata.json, manifest.json
{root}/{category}/{kind}/{symbol}/current        link to the current version
{root}/{category}/{kind}/{symbol}/recipes/{..}   the version each recipe led to

Beside them, with a dot before their names, lie drafts, what is being deleted and the locks of those at work.
A killed process may leave such a thing behind; whoever next obtains something from the shelf deletes it.
"""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic_core import to_json
from semver import Version

from trading_assets.errors import ArtifactError
from trading_assets.registry.artifacts import ArtifactRef, BuildResult, Category, Recipe
from trading_assets.registry.digests import canonical_json, digest_json
from trading_assets.registry.files import make_folder, rename, replace_file, sync_tree, write_json
from trading_assets.registry.locks import hold
from trading_assets.registry.manifest import write_manifest

CATEGORIES: tuple[Category, ...] = ("tables", "models", "bundles", "reports")
TABLE_VERSIONS_KEPT = 3
"""Tables can be made again from bars, and every new bar makes a version; models are never deleted."""

_READ_LATER = {"recipe", "inputs", "summary", "details", "contract", "method_digest", "built_at"}
"""Of the metadata, besides what names an artifact."""

Inputs = dict[str, ArtifactRef]
Outcome = Literal["cached", "built", "unchanged", "not reproduced"]
"""`unchanged`: built, and the same as before; `not reproduced`: same recipe, another content."""


@dataclass(frozen=True)
class StoreResult:
    """An artifact, and whether it was found or built.

    Examples
    --------
    See `ArtifactStore`.
    """

    ref: ArtifactRef
    outcome: Outcome
    reason: str
    """Why it could be found, or why it had to be built."""


class ArtifactStore:
    """The artifacts below one folder.

    Parameters
    ----------
    root : Path

    Examples
    --------
    >>> import tempfile
    >>> recipe = Recipe(category="models", kind="mine", symbol="A", method=1, settings={}, inputs={})
    >>> def build(folder):
    ...     (folder / "answer.txt").write_text("42")
    ...     return BuildResult(identity="42")
    >>> with tempfile.TemporaryDirectory() as root:
    ...     store = ArtifactStore(Path(root))
    ...     first, second = (store.get_or_build(recipe, {}, build) for _ in range(2))
    >>> first.outcome, second.outcome, second.ref.version
    ('built', 'cached', '1.0.0')
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self, category: Category, kind: str, symbol: str) -> ArtifactRef | None:
        """The current version, if there is one."""
        shelf = self._shelf(category, kind, symbol)
        version = self._current_version(shelf)
        return self._ref(shelf / version) if version is not None else None

    def current_version(self, category: Category, kind: str, symbol: str) -> str:
        """Its name, empty where there is none; one system call, nothing is read."""
        try:
            return str((self._shelf(category, kind, symbol) / "current").readlink())
        except OSError:
            return ""

    def find(self, recipe: Recipe) -> ArtifactRef | None:
        """The version that `recipe` led to, the current one or not."""
        shelf = self._shelf(recipe.category, recipe.kind, recipe.symbol)
        version = _noted(shelf / "recipes" / recipe.digest)
        return self._ref(shelf / version) if version is not None else None

    def is_current(self, recipe: Recipe) -> bool:
        """Whether the current version is what `recipe` led to."""
        known = self.find(recipe)
        current = self.current(recipe.category, recipe.kind, recipe.symbol)
        return known is not None and current is not None and known.version == current.version

    def history(self, category: Category, kind: str, symbol: str) -> list[ArtifactRef]:
        """All versions, oldest first."""
        shelf = self._shelf(category, kind, symbol)
        return [self._ref(shelf / str(version)) for version in self._versions(shelf)]

    def oldest(self, category: Category, kind: str, symbol: str) -> ArtifactRef | None:
        """The first version that can be read."""
        refs = list(self._readable(self._shelf(category, kind, symbol)))
        return refs[-1] if refs else None

    def all_current(self, category: Category) -> Iterator[ArtifactRef]:
        """The current versions of every kind and symbol of a category."""
        for link in sorted((self.root / category).glob("*/*/current")):
            kind, symbol = link.parts[-3:-1]
            if (ref := self.current(category, kind, symbol)) is not None:
                yield ref

    def get_or_build(
        self,
        recipe: Recipe,
        inputs: Inputs,
        build: Callable[[Path], BuildResult],
        *,
        rebuild: bool = False,
    ) -> StoreResult:
        """Make what `recipe` describes the current version: what is stored, or else a new build.

        Two processes that need the same recipe at once build it once; the second waits, then finds it.
        `build` fills an empty folder; if it raises, or the process dies, nothing of it remains.

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
        make_folder(shelf / "recipes")
        with hold(_building_lock(shelf, recipe.digest)):
            with hold(shelf / ".lock"):
                _sweep(shelf)
                known = self.find(recipe) or self._adopt(shelf, recipe)
                if known is not None and not rebuild:
                    _point(shelf, known.version)
                    return StoreResult(known, "cached", f"version {known.version} has the same recipe")
                reason = "asked to build again" if rebuild else self._what_changed(recipe)
            staging = shelf / f".building-{recipe.digest}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                wall, cpu = time.perf_counter(), time.process_time()
                built = build(staging)
                timings = {
                    "build_seconds": round(time.perf_counter() - wall, 3),
                    "build_cpu_seconds": round(time.process_time() - cpu, 3),
                }
                with hold(shelf / ".lock"):
                    return StoreResult(*self._store(recipe, inputs, built, timings, staging, known), reason)
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def _store(
        self,
        recipe: Recipe,
        inputs: Inputs,
        built: BuildResult,
        timings: dict[str, float],
        staging: Path,
        known: ArtifactRef | None,
    ) -> tuple[ArtifactRef, Outcome]:
        shelf = staging.parent
        _forget_deleted(shelf)
        made_from = {name: {"version": ref.version, "identity": ref.identity} for name, ref in inputs.items()}
        same = known or (self._twin(shelf, recipe, built, made_from) if recipe.category == "tables" else None)
        outcome: Outcome = "built"
        if same is not None and same.identity == built.identity and _is_whole(same):
            version, outcome = same.version, "unchanged"
        else:
            version = self._next_version(shelf, recipe, built)
            data_version = recipe.data_version(built.identity)
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
                **timings,
                "python": platform.python_version(),
            }
            write_json(staging / "metadata.json", metadata)
            if built.stamp is not None:
                built.stamp(version)
            write_manifest(staging)
            sync_tree(staging)
            rename(staging, shelf / version)
        replace_file(shelf / "recipes" / recipe.digest, version.encode())
        _point(shelf, version)
        if recipe.category == "tables":
            for old in self._versions(shelf)[:-TABLE_VERSIONS_KEPT]:
                if str(old) != version:
                    _delete(shelf / str(old))
        return self._ref(shelf / version), outcome

    def _what_changed(self, recipe: Recipe) -> str:
        """How `recipe` differs from that of the current version."""
        current = self.current(recipe.category, recipe.kind, recipe.symbol)
        if current is None:
            return "nothing was there yet"
        before = current.metadata["recipe"]
        after = json.loads(canonical_json(asdict(recipe)))
        changes = [f"method {before['method']} is now {after['method']}"] * (
            before["method"] != after["method"]
        )
        for part, word in (("settings", ""), ("inputs", "input ")):
            for name in sorted(before[part].keys() | after[part].keys()):
                old, new = before[part].get(name), after[part].get(name)
                changes += [f"{word}{path} changed" for path in _differences(name, old, new)]
        return f"since version {current.version}: " + (", ".join(changes) or "its recipe is not on record")

    def _adopt(self, shelf: Path, recipe: Recipe) -> ArtifactRef | None:
        """What `recipe` led to in a process that was killed before it could note it; noted now."""
        candidates = (ref for ref in self._readable(shelf) if ref.recipe == recipe.digest and _is_whole(ref))
        if (ref := next(candidates, None)) is not None:
            replace_file(shelf / "recipes" / recipe.digest, ref.version.encode())
        return ref

    def _twin(
        self, shelf: Path, recipe: Recipe, built: BuildResult, made_from: Mapping[str, object]
    ) -> ArtifactRef | None:
        """A version with the same content and findings, made by the same method from the same inputs."""

        def content(ref: ArtifactRef) -> list[object]:
            summary, method = ref.metadata["summary"], ref.metadata["recipe"]["method"]
            return [method, ref.identity, ref.metadata["inputs"], summary["numbers"], summary["tables"]]

        findings = json.loads(
            to_json([made_from, built.summary.numbers, built.summary.tables], inf_nan_mode="null")
        )
        wanted = [recipe.method, built.identity, *findings]
        return next((ref for ref in self._readable(shelf) if content(ref) == wanted), None)

    def _next_version(self, shelf: Path, recipe: Recipe, built: BuildResult) -> str:
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

    def _readable(self, shelf: Path) -> Iterator[ArtifactRef]:
        """Versions, newest first; one that is damaged is passed over."""
        for version in reversed(self._versions(shelf)):
            with suppress(ArtifactError):
                yield self._ref(shelf / str(version))

    def _current_version(self, shelf: Path) -> str | None:
        """What `current` names; where a store was copied or unzipped it may be a folder instead of a link."""
        link = shelf / "current"
        try:
            version = link.readlink().name if link.is_symlink() else self._ref(link).version
        except ArtifactError:
            return None
        return version if _is_version(shelf, version) else None

    def _shelf(self, category: Category, kind: str, symbol: str) -> Path:
        if Path(symbol).name != symbol or symbol in {"", ".."}:
            raise ArtifactError(f"'{symbol}' cannot be a symbol; expected a name such as BTCUSDT.")
        return self.root / category / kind / symbol

    def _ref(self, path: Path) -> ArtifactRef:
        try:
            metadata = json.loads((path / "metadata.json").read_bytes())
            if missing := _READ_LATER - metadata.keys():
                raise KeyError(*missing)
            return ArtifactRef(
                kind=metadata["kind"],
                symbol=metadata["symbol"],
                version=metadata["version"],
                data_version=metadata["data_version"],
                identity=metadata["identity"],
                recipe=metadata["recipe_digest"],
                path=path,
            )
        except PermissionError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
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


def _is_version(shelf: Path, name: str) -> bool:
    return Version.is_valid(name) and (shelf / name).is_dir()


def _noted(note: Path) -> str | None:
    """The version that the note of a recipe names, if it is there."""
    try:
        version = note.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return None
    return version if _is_version(note.parent.parent, version) else None


def _point(shelf: Path, version: str) -> None:
    """Make `version` the current one."""
    link = shelf / "current"
    if link.is_symlink():
        if link.readlink() == Path(version):
            return
    elif link.is_dir():
        _delete(link)
    temporary = shelf / ".current"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(version)
    rename(temporary, link)


def _delete(folder: Path) -> None:
    """Delete a folder on a shelf; under its name it is there whole or not at all."""
    aside = folder.with_name(f".deleted-{folder.name}")
    shutil.rmtree(aside, ignore_errors=True)
    rename(folder, aside)
    shutil.rmtree(aside, ignore_errors=True)


def _forget_deleted(shelf: Path) -> None:
    """Delete the notes of recipes whose versions are gone: their numbers may be given again."""
    for note in (shelf / "recipes").iterdir():
        if _noted(note) is None:
            note.unlink(missing_ok=True)


def _building_lock(shelf: Path, recipe_digest: str) -> Path:
    return shelf / f".lock-{recipe_digest}"


def _sweep(shelf: Path) -> None:
    """Delete what killed processes left on a shelf whose lock is held."""
    digests = {
        path.name.split("-", 1)[1] for name in ("lock", "building") for path in shelf.glob(f".{name}-*")
    }
    for digest in digests:
        with hold(_building_lock(shelf, digest), wait=False) as unused:
            if unused:
                shutil.rmtree(shelf / f".building-{digest}", ignore_errors=True)
    for folder in shelf.glob(".deleted-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for draft in (shelf / ".current", *(shelf / "recipes").glob(".*")):
        draft.unlink(missing_ok=True)


def _is_whole(ref: ArtifactRef) -> bool:
    try:
        ref.open()
    except ArtifactError:
        return False
    return True

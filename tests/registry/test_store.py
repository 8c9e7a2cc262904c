"""The store: built once, found by recipe, kept whole or not at all."""

import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trading_assets.errors import ArtifactError
from trading_assets.registry.artifacts import BuildResult, Category, Recipe, Summary
from trading_assets.registry.store import TABLE_VERSIONS_KEPT, ArtifactStore

SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60.0
"""Seconds to wait for another process; a loaded machine takes a few to start one."""


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def recipe(category: Category = "models", *, method: int = 1, data: str = "d1", symbol: str = "A") -> Recipe:
    return Recipe(
        category=category,
        kind="thing",
        symbol=symbol,
        method=method,
        settings={"depth": 3},
        inputs={"bars": data},
    )


def building(
    content: str = "content", contract: str = "", calls: list[str] | None = None
) -> Callable[[Path], BuildResult]:
    def build(folder: Path) -> BuildResult:
        if calls is not None:
            calls.append(content)
        assert not list(folder.iterdir())
        (folder / "thing.txt").write_text(content)
        summary = Summary(numbers={"rows": 3}, notes=("a note",))
        return BuildResult(
            identity=f"id of {content}", contract=contract, summary=summary, details={"x": [1]}
        )

    return build


def never(folder: Path) -> BuildResult:
    raise AssertionError("built although it was there")


def files(store: ArtifactStore) -> set[str]:
    """Everything below the store."""
    return {path.relative_to(store.root).as_posix() for path in store.root.rglob("*")}


def test_a_recipe_is_built_once_and_found_from_then_on(store: ArtifactStore) -> None:
    first = store.get_or_build(recipe(), {}, building())
    again = store.get_or_build(recipe(), {}, never)
    assert (first.outcome, again.outcome) == ("built", "cached")
    assert again.ref == first.ref == store.find(recipe()) == store.current("models", "thing", "A")
    assert store.is_current(recipe())
    assert (first.ref.open() / "thing.txt").read_text() == "content"


def test_an_artifact_tells_what_it_is_and_what_it_was_made_from(store: ArtifactStore) -> None:
    bars = store.get_or_build(recipe("tables"), {}, building("bars")).ref
    model = store.get_or_build(recipe(), {"bars": bars}, building("model")).ref
    assert (model.kind, model.symbol, model.version) == ("thing", "A", "1.0.0")
    assert (bars.data_version, model.data_version) == ("id of bars", recipe().digest)
    assert model.metadata["inputs"] == {"bars": {"version": "1.0.0", "identity": "id of bars"}}
    assert model.metadata["recipe"]["settings"] == {"depth": 3}
    assert model.metadata["details"] == {"x": [1]}
    assert model.summary == Summary(numbers={"rows": 3}, notes=("a note",))


def test_nothing_is_found_in_an_empty_store(store: ArtifactStore) -> None:
    assert store.find(recipe()) is None
    assert store.current("models", "thing", "A") is None
    assert not store.is_current(recipe())
    assert store.history("models", "thing", "A") == []
    assert list(store.all_current("models")) == []


def test_every_part_of_a_recipe_decides_its_digest() -> None:
    parts: dict[str, Any] = {
        "category": "models",
        "kind": "k",
        "symbol": "A",
        "method": 1,
        "settings": {"a": 1},
        "inputs": {"bars": "d"},
    }
    others: dict[str, Any] = {
        "category": "tables",
        "kind": "l",
        "symbol": "B",
        "method": 2,
        "settings": {"a": 2},
        "inputs": {"bars": "e"},
        "code": "f",
    }
    digests = {Recipe(**(parts | {name: value})).digest for name, value in others.items()}
    assert len(digests | {Recipe(**parts).digest}) == 8


def test_symbols_are_kept_apart(store: ArtifactStore) -> None:
    for symbol in ("A", "B"):
        store.get_or_build(recipe(symbol=symbol), {}, building(symbol))
    assert [ref.symbol for ref in store.all_current("models")] == ["A", "B"]
    assert [ref.identity for ref in store.history("models", "thing", "B")] == ["id of B"]


def test_a_build_that_raises_leaves_nothing_and_the_next_one_works(store: ArtifactStore) -> None:
    def fail(folder: Path) -> BuildResult:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        store.get_or_build(recipe(), {}, fail)
    assert files(store) == {
        "models",
        "models/thing",
        "models/thing/A",
        "models/thing/A/recipes",
    }
    assert store.find(recipe()) is None
    assert store.get_or_build(recipe(), {}, building()).outcome == "built"


def test_a_failing_rebuild_leaves_the_version_in_force(store: ArtifactStore) -> None:
    first = store.get_or_build(recipe(), {}, building())

    def fail(folder: Path) -> BuildResult:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.get_or_build(recipe(), {}, fail, rebuild=True)
    assert store.get_or_build(recipe(), {}, never).ref == first.ref


@pytest.mark.parametrize("category", ["tables", "models"])
def test_a_rebuild_that_makes_the_same_says_unchanged(store: ArtifactStore, category: Category) -> None:
    calls: list[str] = []
    first = store.get_or_build(recipe(category), {}, building(calls=calls))
    again = store.get_or_build(recipe(category), {}, building(calls=calls), rebuild=True)
    assert len(calls) == 2
    assert (again.outcome, again.ref) == ("unchanged", first.ref)
    assert len(store.history(category, "thing", "A")) == 1


@pytest.mark.parametrize("category", ["tables", "models"])
def test_a_rebuild_that_makes_something_else_says_so_and_is_a_new_version(
    store: ArtifactStore, category: Category
) -> None:
    store.get_or_build(recipe(category), {}, building("one"))
    again = store.get_or_build(recipe(category), {}, building("two"), rebuild=True)
    assert (again.outcome, again.ref.version) == ("not reproduced", "1.0.1")
    assert store.find(recipe(category)) == again.ref == store.current(category, "thing", "A")
    assert [ref.version for ref in store.history(category, "thing", "A")] == ["1.0.0", "1.0.1"]


def test_a_rebuild_of_what_was_never_built_builds_it(store: ArtifactStore) -> None:
    assert store.get_or_build(recipe(), {}, building(), rebuild=True).outcome == "built"


def test_versions_rise_by_patch_for_data_minor_for_method_and_major_for_contract(
    store: ArtifactStore,
) -> None:
    steps = [
        (recipe(), "a", ""),
        (recipe(data="d2"), "b", ""),
        (recipe(data="d3"), "c", ""),
        (recipe(data="d3", method=2), "d", ""),
        (recipe(data="d4", method=2), "e", ""),
        (recipe(data="d5", method=2), "f", "another contract"),
        (recipe(data="d6", method=3), "g", "another contract"),
        (recipe(data="d7", method=4), "h", "a third"),
    ]
    made = [store.get_or_build(r, {}, building(text, contract)).ref for r, text, contract in steps]
    versions = ["1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.1.1", "2.0.0", "2.1.0", "3.0.0"]
    assert [ref.version for ref in made] == versions
    assert [ref.version for ref in store.history("models", "thing", "A")] == versions


def test_other_settings_are_another_method(store: ArtifactStore) -> None:
    store.get_or_build(recipe(), {}, building("a"))
    deeper = Recipe(
        category="models",
        kind="thing",
        symbol="A",
        method=1,
        settings={"depth": 4},
        inputs={"bars": "d1"},
    )
    assert store.get_or_build(deeper, {}, building("b")).ref.version == "1.1.0"


def test_versions_are_ordered_as_numbers(store: ArtifactStore) -> None:
    for number in range(12):
        store.get_or_build(recipe(data=str(number)), {}, building(str(number)))
    assert store.history("models", "thing", "A")[-1].version == "1.0.11"


def test_a_table_of_the_same_content_is_the_same_version_under_both_recipes(
    store: ArtifactStore,
) -> None:
    first = store.get_or_build(recipe("tables"), {}, building())
    second = store.get_or_build(recipe("tables", data="d2"), {}, building())
    assert (second.outcome, second.ref) == ("unchanged", first.ref)
    assert store.find(recipe("tables")) == store.find(recipe("tables", data="d2")) == first.ref
    assert store.get_or_build(recipe("tables", data="d2"), {}, never).outcome == "cached"
    assert store.is_current(recipe("tables"))


def test_a_table_that_another_method_made_the_same_is_a_version_of_its_own(store: ArtifactStore) -> None:
    """Its rows are the same; the files beside them need not be."""
    store.get_or_build(recipe("tables"), {}, building())
    second = store.get_or_build(recipe("tables", method=2), {}, building())
    assert (second.outcome, second.ref.version) == ("built", "1.1.0")


def test_a_table_that_becomes_what_it_was_makes_the_older_version_current(
    store: ArtifactStore,
) -> None:
    first = store.get_or_build(recipe("tables"), {}, building("one")).ref
    store.get_or_build(recipe("tables", data="d2"), {}, building("two"))
    back = store.get_or_build(recipe("tables", data="d3"), {}, building("one"))
    assert (back.outcome, back.ref) == ("unchanged", first)
    assert store.current("tables", "thing", "A") == first


def test_a_model_of_the_same_content_under_another_recipe_is_a_version_of_its_own(
    store: ArtifactStore,
) -> None:
    store.get_or_build(recipe(), {}, building())
    second = store.get_or_build(recipe(data="d2"), {}, building())
    assert (second.outcome, second.ref.version) == ("built", "1.0.1")


def test_an_older_recipe_that_is_asked_for_again_becomes_current(store: ArtifactStore) -> None:
    older = store.get_or_build(recipe(), {}, building("older")).ref
    newer = store.get_or_build(recipe(data="d2"), {}, building("newer")).ref
    assert store.current("models", "thing", "A") == newer
    assert not store.is_current(recipe())
    assert store.get_or_build(recipe(), {}, never).outcome == "cached"
    assert store.current("models", "thing", "A") == older
    assert store.is_current(recipe())
    assert not store.is_current(recipe(data="d2"))


def test_old_tables_are_pruned_and_models_are_not(store: ArtifactStore) -> None:
    for number in range(6):
        for category in ("tables", "models"):
            store.get_or_build(recipe(category, data=str(number)), {}, building(str(number)))
    kept = [ref.version for ref in store.history("tables", "thing", "A")]
    assert kept == ["1.0.3", "1.0.4", "1.0.5"]
    assert len(kept) == TABLE_VERSIONS_KEPT
    assert len(store.history("models", "thing", "A")) == 6
    assert store.find(recipe("models", data="0")) is not None


def test_a_pruned_table_is_built_again_under_a_new_version(store: ArtifactStore) -> None:
    for number in range(5):
        store.get_or_build(recipe("tables", data=str(number)), {}, building(str(number)))
    assert store.find(recipe("tables", data="0")) is None
    again = store.get_or_build(recipe("tables", data="0"), {}, building("0"))
    assert (again.outcome, again.ref.version) == ("built", "1.0.5")


def test_the_table_in_force_is_never_pruned(store: ArtifactStore) -> None:
    for number in range(3):
        store.get_or_build(recipe("tables", data=str(number)), {}, building(str(number)))
    store.get_or_build(recipe("tables", data="0"), {}, never)
    store.get_or_build(recipe("tables", data="again"), {}, building("0"))
    newest = store.get_or_build(recipe("tables", data="3"), {}, building("3")).ref
    assert store.current("tables", "thing", "A") == newest
    newest.open()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '"1.0.0"', "\x00\x01"])
def test_damaged_metadata_is_refused_with_the_way_to_mend_it(store: ArtifactStore, text: str) -> None:
    ref = store.get_or_build(recipe(), {}, building()).ref
    (ref.path / "metadata.json").write_text(text)
    for ask in (
        lambda: store.find(recipe()),
        lambda: store.current("models", "thing", "A"),
        lambda: store.history("models", "thing", "A"),
        lambda: store.get_or_build(recipe(), {}, building()),
        lambda: store.get_or_build(recipe(data="d2"), {}, building()),
    ):
        with pytest.raises(ArtifactError, match="is damaged") as refusal:
            ask()
        assert str(ref.path) in str(refusal.value)


def test_a_folder_without_metadata_is_refused(store: ArtifactStore) -> None:
    ref = store.get_or_build(recipe(), {}, building()).ref
    (ref.path / "metadata.json").unlink()
    with pytest.raises(ArtifactError, match="is damaged"):
        store.find(recipe())


def test_a_deleted_version_is_built_again(store: ArtifactStore) -> None:
    """What the message about damage advises."""
    ref = store.get_or_build(recipe(), {}, building()).ref
    shutil.rmtree(ref.path)
    assert store.find(recipe()) is None
    assert store.current("models", "thing", "A") is None
    assert list(store.all_current("models")) == []
    assert store.get_or_build(recipe(), {}, building()).outcome == "built"
    assert store.current("models", "thing", "A") == store.find(recipe())


@pytest.mark.parametrize("text", [b"", b"\x00" * 5, b"not a version", b"\xff\xfe", b"../A/1.0.0"])
def test_a_damaged_note_of_a_recipe_is_written_again_from_the_version_it_led_to(
    store: ArtifactStore, text: bytes
) -> None:
    """A loss of power can leave such a note behind."""
    ref = store.get_or_build(recipe(), {}, building()).ref
    note = store.root / "models" / "thing" / "A" / "recipes" / recipe().digest
    note.write_bytes(text)
    assert store.find(recipe()) is None
    again = store.get_or_build(recipe(), {}, never)
    assert (again.outcome, again.ref) == ("cached", ref)
    assert store.find(recipe()) == ref


def test_a_changed_artifact_cannot_be_opened(store: ArtifactStore) -> None:
    ref = store.get_or_build(recipe(), {}, building()).ref
    (ref.path / "thing.txt").write_text("Content")
    with pytest.raises(ArtifactError, match=r"thing\.txt was changed"):
        ref.open()


def asking(method: int = 1, depth: object = 3, **inputs: str) -> Recipe:
    return Recipe(
        category="tables", kind="thing", symbol="A", method=method, settings={"depth": depth}, inputs=inputs
    )


def test_it_is_said_why_something_was_built_or_found(store: ArtifactStore) -> None:
    first = store.get_or_build(asking(bars="d1"), {}, building())
    assert first.reason == "nothing was there yet"
    assert store.get_or_build(asking(bars="d1"), {}, never).reason == "version 1.0.0 has the same recipe"
    again = store.get_or_build(asking(bars="d1"), {}, building(), rebuild=True)
    assert again.reason == "asked to build again"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (asking(bars="d2", other="e"), "input bars changed"),
        (asking(bars="d1", other="f"), "input other changed"),
        (asking(bars="d1"), "input other changed"),
        (asking(bars="d1", other="e", depth=4), "depth changed"),
        (asking(bars="d1", other="e", method=2), "method 1 is now 2"),
        (
            asking(bars="d2", other="f", depth=4, method=2),
            "method 1 is now 2, depth changed, input bars changed, input other changed",
        ),
    ],
)
def test_what_changed_in_a_recipe_is_named(store: ArtifactStore, changed: Recipe, reason: str) -> None:
    store.get_or_build(asking(bars="d1", other="e"), {}, building("before"))
    after = store.get_or_build(changed, {}, building("after"))
    assert (after.outcome, after.reason) == ("built", f"since version 1.0.0: {reason}")


def test_of_settings_within_settings_the_ones_that_changed_are_named(store: ArtifactStore) -> None:
    before = {"names": ["a", "b"], "parameters": {"rsi": [[14], [28]], "ema": [[3]]}, "gone": 1}
    after = {"names": ["a", "b"], "parameters": {"rsi": [[14]], "ema": [[3]], "new": [[1]]}}
    store.get_or_build(asking(depth=before), {}, building("before"))
    reason = store.get_or_build(asking(depth=after), {}, building("after")).reason
    assert reason == (
        "since version 1.0.0: depth.gone changed, depth.parameters.new changed, depth.parameters.rsi changed"
    )


def test_settings_are_compared_as_they_are_stored(store: ArtifactStore) -> None:
    """A tuple comes back from the store as a list; that is no change."""
    store.get_or_build(asking(depth=((1, 2), (3,)), bars="d1"), {}, building("before"))
    reason = store.get_or_build(asking(depth=((1, 2), (3,)), bars="d2"), {}, building("after")).reason
    assert reason == "since version 1.0.0: input bars changed"


def test_what_changed_is_told_from_the_version_in_force(store: ArtifactStore) -> None:
    store.get_or_build(asking(bars="d1"), {}, building("one"))
    store.get_or_build(asking(bars="d2", depth=4), {}, building("two"))
    store.get_or_build(asking(bars="d1"), {}, never)
    reason = store.get_or_build(asking(bars="d3"), {}, building("three")).reason
    assert reason == "since version 1.0.0: input bars changed"


def test_a_damaged_version_whose_recipe_was_forgotten_is_built_again(store: ArtifactStore) -> None:
    ref = store.get_or_build(asking(bars="d1"), {}, building()).ref
    shutil.rmtree(ref.path.parent / "recipes")
    (ref.path / "thing.txt").write_text("Content")
    reason = store.get_or_build(asking(bars="d1"), {}, building()).reason
    assert reason == "since version 1.0.0: its recipe is not on record"


def test_metadata_is_strict_json(store: ArtifactStore) -> None:
    ref = store.get_or_build(recipe(), {}, building()).ref
    assert json.loads((ref.path / "metadata.json").read_bytes())["version"] == "1.0.0"


def _log_and_build(root: Path, log: Path, seconds: float) -> str:
    """In another process: get or build, noting every build in `log`, which takes `seconds`."""

    def build(folder: Path) -> BuildResult:
        with log.open("a") as file:
            file.write("built\n")
        (folder / "half.txt").write_text("half")
        time.sleep(seconds)
        (folder / "half.txt").rename(folder / "thing.txt")
        return BuildResult(identity="content")

    return ArtifactStore(root).get_or_build(recipe(), {}, build).outcome


def _send_outcome(root: Path, log: Path, go: Any, outcomes: Any) -> None:
    go.wait(PATIENCE)
    outcomes.put(_log_and_build(root, log, 0.5))


@pytest.mark.timeout(180)
def test_two_processes_that_ask_at_once_build_once(store: ArtifactStore, tmp_path: Path) -> None:
    log = tmp_path / "log"
    go, outcomes = SPAWN.Barrier(2), SPAWN.Queue()
    processes = [SPAWN.Process(target=_send_outcome, args=(store.root, log, go, outcomes)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sorted(outcomes.get(timeout=PATIENCE) for _ in processes) == ["built", "cached"]
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert log.read_text() == "built\n"
    assert len(store.history("models", "thing", "A")) == 1
    found = store.find(recipe())
    assert found is not None
    assert found.open()


@pytest.mark.timeout(180)
def test_a_process_killed_in_its_build_leaves_nothing_in_the_way(
    store: ArtifactStore, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = SPAWN.Process(target=_log_and_build, args=(store.root, log, 10 * PATIENCE))
    process.start()
    shelf = store.root / "models" / "thing" / "A"
    deadline = time.monotonic() + PATIENCE
    while not list(shelf.glob(".building-*/half.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.join(PATIENCE)
    assert store.find(recipe()) is None
    assert store.current("models", "thing", "A") is None
    made = store.get_or_build(recipe(), {}, building())
    assert (made.outcome, made.ref.version) == ("built", "1.0.0")
    assert {path.name for path in made.ref.open().iterdir()} == {
        "thing.txt",
        "metadata.json",
        "manifest.json",
    }
    assert not list(shelf.glob(".building-*"))

"""The store after kills, losses of power and copies: nothing is lost, nothing is in the way."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.test_store import building, files, never, recipe
from trading_assets.errors import ArtifactError
from trading_assets.market.synthetic import SyntheticMarket
from trading_assets.registry import locks
from trading_assets.registry.artifacts import BuildResult
from trading_assets.registry.files import make_folder, replace_file, replacing
from trading_assets.registry.store import TABLE_VERSIONS_KEPT, ArtifactStore

SHELF = Path("tables") / "thing" / "A"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def shelf(store: ArtifactStore) -> Path:
    return store.root / SHELF


class Died(BaseException):
    """A kill at a chosen point: no `except` of the store may catch it, and nothing is tidied up."""


def fill(store: ArtifactStore, n: int) -> None:
    for number in range(n):
        store.get_or_build(recipe("tables", data=str(number)), {}, building(str(number)))


def test_a_kill_while_an_old_version_is_deleted_stands_in_nobody_s_way(
    store: ArtifactStore, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, TABLE_VERSIONS_KEPT)
    remove = shutil.rmtree

    def die_halfway(folder: Path, **options: bool) -> None:
        if folder.exists() and "deleted" in folder.name:
            (folder / "metadata.json").unlink()
            raise Died
        remove(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", die_halfway)
        with pytest.raises(Died):
            store.get_or_build(recipe("tables", data="last"), {}, building("last"))
    assert [ref.version for ref in store.history("tables", "thing", "A")] == ["1.0.1", "1.0.2", "1.0.3"]
    assert store.get_or_build(recipe("tables", data="last"), {}, never).outcome == "cached"
    assert not list(shelf.glob(".*"))


def test_a_version_that_an_earlier_release_left_half_deleted_is_passed_over(
    store: ArtifactStore, shelf: Path
) -> None:
    fill(store, 3)
    (shelf / "1.0.0" / "metadata.json").unlink()
    made = store.get_or_build(recipe("tables", data="3"), {}, building("3"))
    assert (made.outcome, made.ref.version) == ("built", "1.0.3")
    assert not (shelf / "1.0.0").exists()


def test_what_killed_processes_left_is_swept_and_what_others_build_is_not(
    store: ArtifactStore, shelf: Path
) -> None:
    fill(store, 1)
    before = files(store)
    for name in (".building-dead", ".building-busy", ".deleted-0.9.0"):
        (shelf / name).mkdir()
        (shelf / name / "half.txt").write_text("half")
    for name in (".lock-dead", ".lock-lone", ".lock-busy", "recipes/.note-1234.partial"):
        (shelf / name).touch()
    (shelf / ".current").symlink_to("1.0.0")
    with locks.hold(shelf / ".lock-busy"):
        store.get_or_build(recipe("tables", data="0"), {}, never)
        left = {path.name for path in shelf.glob(".*")}
        assert left == {".building-busy", ".lock-busy"}
        assert (shelf / ".building-busy" / "half.txt").exists()
    store.get_or_build(recipe("tables", data="0"), {}, never)
    assert files(store) == before


def test_what_another_leaves_while_one_builds_is_in_nobody_s_way(store: ArtifactStore, shelf: Path) -> None:
    """A process that builds sweeps before it does; others may be killed until it is done."""
    fill(store, TABLE_VERSIONS_KEPT)

    def build(folder: Path) -> BuildResult:
        (shelf / ".current").symlink_to("1.0.0")
        (shelf / ".deleted-1.0.0").mkdir()
        (shelf / ".deleted-1.0.0" / "half.txt").touch()
        return building("slow")(folder)

    assert store.get_or_build(recipe("tables", data="slow"), {}, build).ref.version == "1.0.3"
    assert store.current("tables", "thing", "A").version == "1.0.3"
    assert not list(shelf.glob(".*"))


@pytest.mark.parametrize("key", ["recipe", "inputs", "summary", "contract", "method_digest", "built_at"])
def test_metadata_that_lack_a_part_are_damaged_and_passed_over_by_who_looks_for_a_twin(
    store: ArtifactStore, shelf: Path, key: str
) -> None:
    fill(store, 2)
    metadata = json.loads((shelf / "1.0.0" / "metadata.json").read_bytes())
    del metadata[key]
    (shelf / "1.0.0" / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ArtifactError, match=f"damaged.*{key}"):
        store.find(recipe("tables", data="0"))
    assert store.get_or_build(recipe("tables", data="2"), {}, building("2")).outcome == "built"


def test_a_build_killed_before_its_recipe_was_noted_is_adopted(
    store: ArtifactStore, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, content: bytes) -> None:
        raise Died

    fill(store, 1)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr("trading_assets.registry.store.replace_file", die)
        store.get_or_build(recipe("tables", data="1"), {}, building("1"))
    assert store.find(recipe("tables", data="1")) is None
    adopted = store.get_or_build(recipe("tables", data="1"), {}, never)
    assert (adopted.outcome, adopted.ref.version) == ("cached", "1.0.1")
    assert store.find(recipe("tables", data="1")) == adopted.ref == store.current("tables", "thing", "A")
    assert store.find(recipe("tables", data="0")) is not None


def test_a_number_that_is_given_again_is_not_found_under_the_recipe_it_had(store: ArtifactStore) -> None:
    fill(store, 2)
    shutil.rmtree(store.root / SHELF / "1.0.1")
    store.get_or_build(recipe("tables", data="other"), {}, building("other"))
    assert store.current("tables", "thing", "A").version == "1.0.1"
    assert store.find(recipe("tables", data="1")) is None


def test_notes_of_recipes_go_with_the_versions_they_led_to(store: ArtifactStore, shelf: Path) -> None:
    fill(store, 9)
    assert len(list((shelf / "recipes").iterdir())) == TABLE_VERSIONS_KEPT + 1  # the last prunes after it


def test_current_that_became_a_folder_is_understood_and_made_a_link_again(
    store: ArtifactStore, tmp_path: Path
) -> None:
    fill(store, 2)
    other = ArtifactStore(tmp_path / "other")
    shutil.copytree(store.root, other.root)
    link = other.root / SHELF / "current"
    assert not link.is_symlink() and link.is_dir()
    assert other.current("tables", "thing", "A").path == other.root / SHELF / "1.0.1"
    assert [ref.version for ref in other.all_current("tables")] == ["1.0.1"]
    assert other.is_current(recipe("tables", data="1"))
    assert other.get_or_build(recipe("tables", data="0"), {}, never).outcome == "cached"
    assert link.readlink() == Path("1.0.0")
    assert other.current("tables", "thing", "A").version == "1.0.0"
    assert not list((other.root / SHELF).glob(".*"))


def test_current_that_an_archive_made_an_empty_folder_is_mended_by_the_next_who_asks(
    store: ArtifactStore, tmp_path: Path
) -> None:
    fill(store, 2)
    other = tmp_path / "other"
    shutil.unpack_archive(shutil.make_archive(str(tmp_path / "store"), "zip", store.root), other)
    link = other / SHELF / "current"
    assert list(link.iterdir()) == []
    assert not ArtifactStore(other).is_current(recipe("tables", data="1"))
    assert ArtifactStore(other).get_or_build(recipe("tables", data="1"), {}, never).outcome == "cached"
    assert link.readlink() == Path("1.0.1")


def test_an_artifact_nested_too_deeply_is_damaged_and_no_traceback(store: ArtifactStore) -> None:
    ref = store.get_or_build(recipe(), {}, building()).ref
    for name, ask in (("metadata.json", lambda: store.find(recipe())), ("manifest.json", ref.open)):
        (ref.path / name).write_text("[" * 100_000)
        with pytest.raises(ArtifactError, match="is damaged"):
            ask()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, Path]]]:
    """What the process asks of the disk, in order: ('rename', target) and ('sync', path)."""
    asked: list[tuple[str, Path]] = []
    really = os.fsync

    def fsync(descriptor: int) -> None:
        asked.append(("sync", Path(f"/proc/self/fd/{descriptor}").resolve()))
        really(descriptor)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and listening:
            asked.append(("rename", Path(str(arguments[1])).absolute()))

    listening = [True]
    monkeypatch.setattr(os, "fsync", fsync)
    sys.addaudithook(hook)
    yield asked
    listening.clear()  # a hook cannot be taken away


def lasts(asked: list[tuple[str, Path]]) -> bool:
    """Whether every name outlives a loss of power: its folder is synced after it and before the next."""
    names = [i for i, (what, _) in enumerate(asked) if what == "rename"]
    return len(names) > 0 and all(
        i + 1 < len(asked) and asked[i + 1] == ("sync", asked[i][1].parent.resolve()) for i in names
    )


def test_every_name_in_the_store_outlives_a_loss_of_power(
    store: ArtifactStore, shelf: Path, disk: list[tuple[str, Path]]
) -> None:
    fill(store, TABLE_VERSIONS_KEPT + 1)
    targets = {path.name for what, path in disk if what == "rename"}
    assert {"1.0.0", "current", ".deleted-1.0.0"} < targets
    assert lasts(disk)
    named = disk.index(("rename", shelf / "1.0.0"))
    content = {path.name for what, path in disk[:named] if what == "sync"}
    assert {"thing.txt", "metadata.json", "manifest.json"} < content
    made = {path for what, path in disk if what == "sync"}
    assert {store.root.parent, store.root, shelf.parent.parent, shelf.parent, shelf} <= made


def test_every_file_that_is_replaced_outlives_a_loss_of_power(
    tmp_path: Path, disk: list[tuple[str, Path]]
) -> None:
    replace_file(tmp_path / "new" / "file", b"content")
    SyntheticMarket("price", 1.0, n_bars=50, seed=1).write(tmp_path / "market", "SYN")
    here = [(what, path) for what, path in disk if path.is_relative_to(tmp_path)]  # numba renames, too
    assert lasts(here)
    folders = {path for what, path in here if what == "sync"}
    assert {tmp_path, tmp_path / "new", tmp_path / "market"} <= folders


def test_a_replacement_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    replace_file(tmp_path / "file", b"old")
    with pytest.raises(Died), replacing(tmp_path / "file") as draft:
        draft.write_bytes(b"half")
        raise Died
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_draft_of_a_process_that_died_is_deleted_and_one_that_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    for name, age in ((".file-1.partial", 7_200), (".file-2.partial", 0), (".other-1.partial", 7_200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    replace_file(tmp_path / "file", b"")
    assert {path.name for path in tmp_path.iterdir()} == {"file", ".file-2.partial", ".other-1.partial"}


def test_folders_that_are_there_are_taken_as_they_are(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_lock_excludes_others_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locks.hold(path) as first, locks.hold(path, wait=False) as second:
        assert (first, second) == (True, False)
    assert not path.exists()


COUNT = """
import sys
from pathlib import Path
from trading_assets.registry.locks import hold
lock, count = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(200):
    with hold(lock):
        count.write_text(str(int(count.read_text()) + 1))
"""


def test_a_lock_whose_file_comes_and_goes_excludes_every_process(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    command = [sys.executable, "-c", COUNT, str(tmp_path / "lock"), str(tmp_path / "count")]
    workers = [subprocess.Popen(command) for _ in range(3)]
    assert [worker.wait(120) for worker in workers] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "600"
    assert not (tmp_path / "lock").exists()


WORK = """
import sys
from pathlib import Path
from tests.registry.test_store import building, recipe
from trading_assets.registry.store import ArtifactStore
store, number = ArtifactStore(Path(sys.argv[1])), int(sys.argv[2])
while True:
    for category in ("tables", "models"):
        ref = store.get_or_build(recipe(category, data=str(number)), {}, building(str(number))).ref
        print(category, number, ref.version, flush=True)
    number += 1
"""


@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_and_nothing_is_left_after_kills_at_any_time(
    store: ArtifactStore, tmp_path: Path
) -> None:
    chance, acknowledged, number = random.Random(0), dict[str, tuple[str, str]](), 0
    for _ in range(12):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORK, str(store.root), str(number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]
        time.sleep(chance.uniform(0, 0.15))
        worker.send_signal(signal.SIGKILL)
        lines += worker.stdout.readlines()
        worker.wait()
        for category, text, version in (line.split() for line in lines):
            acknowledged[category] = (text, version)
            number = int(text)
    assert set(acknowledged) == {"tables", "models"}
    for category, (text, version) in acknowledged.items():
        found = store.find(recipe(category, data=text))  # type: ignore[arg-type]
        assert found is not None and found.version == version
        again = store.get_or_build(recipe(category, data=str(number + 1)), {}, building(str(number + 1)))  # type: ignore[arg-type]
        assert again.ref == store.current(category, "thing", "A")  # type: ignore[arg-type]
        for ref in store.history(category, "thing", "A"):  # type: ignore[arg-type]
            ref.open()
    assert not list(store.root.rglob(".*"))

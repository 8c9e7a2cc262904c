"""A manifest notices whatever happens to the files it lists."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trading_assets.errors import ArtifactError
from trading_assets.registry.manifest import verify_manifest, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    (folder / "deep" / "notes.txt").write_text("words")
    (folder / "empty").touch()
    write_manifest(folder)
    return folder


def test_an_untouched_folder_passes_and_gives_its_manifest(folder: Path) -> None:
    manifest = verify_manifest(folder)
    listed = {entry["path"]: entry["size"] for entry in manifest["files"]}
    assert listed == {"weights.bin": 256, "deep/notes.txt": 5, "empty": 0}
    hashes = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    # sha256 of nothing, FIPS 180-4.
    assert hashes["empty"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_moved_folder_passes(folder: Path, tmp_path: Path) -> None:
    verify_manifest(folder.rename(tmp_path / "elsewhere"))


def test_writing_twice_writes_the_same(folder: Path) -> None:
    before = (folder / "manifest.json").read_bytes()
    write_manifest(folder)
    assert (folder / "manifest.json").read_bytes() == before


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _replace_by_link(path: Path) -> None:
    target = path.rename(path.parent.parent / "target")
    path.symlink_to(target)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "first byte changed": (lambda f: _flip(f / "weights.bin", 0), r"weights\.bin was changed"),
    "last byte changed": (lambda f: _flip(f / "weights.bin", -1), r"weights\.bin was changed"),
    "byte changed below": (
        lambda f: _flip(f / "deep" / "notes.txt", 2),
        r"deep/notes\.txt was changed",
    ),
    "file cut": (lambda f: os.truncate(f / "weights.bin", 255), r"weights\.bin was changed"),
    "file grown": (lambda f: (f / "empty").write_text("x"), "empty was changed"),
    "file gone": (lambda f: (f / "weights.bin").unlink(), r"weights\.bin is missing from"),
    "file gone below": (
        lambda f: (f / "deep" / "notes.txt").unlink(),
        r"deep/notes\.txt is missing from",
    ),
    "file moved": (
        lambda f: (f / "empty").rename(f / "deep" / "empty"),
        "empty is (missing from|not in the manifest)",
    ),
    "file added": (
        lambda f: (f / "extra.pkl").touch(),
        r"extra\.pkl is not in the manifest of",
    ),
    "hidden file added below": (
        lambda f: (f / "deep" / ".extra").touch(),
        r"deep/\.extra is not in the manifest of",
    ),
    "file replaced by a link to its copy": (
        lambda f: _replace_by_link(f / "weights.bin"),
        r"weights\.bin is a symbolic link",
    ),
    "folder replaced by a link": (lambda f: _replace_by_link(f / "deep"), "deep is a symbolic"),
    "dead link added": (lambda f: (f / "dead").symlink_to("nowhere"), "dead is a symbolic link"),
    "manifest replaced by a link": (
        lambda f: _replace_by_link(f / "manifest.json"),
        r"manifest\.json is a symbolic link",
    ),
    "manifest gone": (lambda f: (f / "manifest.json").unlink(), r"has no manifest\.json"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_damage_is_refused_with_the_name_of_the_file(folder: Path, damage: str) -> None:
    spoil, message = DAMAGE[damage]
    spoil(folder)
    with pytest.raises(ArtifactError, match=message) as refusal:
        verify_manifest(folder)
    assert str(folder) in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"files": 3}',
        '{"files": [3]}',
        '{"files": [{"size": 3}]}',
        '{"files": [{"path": "weights.bin"}, {"path": "empty"}, {"path": "deep/notes.txt"}]}',
        "\x00",
        "[" * 100_000,
    ],
)
def test_a_damaged_manifest_is_refused_by_name(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged"):
        verify_manifest(folder)


def test_a_manifest_whose_names_are_no_text_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": [{"path": 3, "size": 0, "sha256": ""}]}')
    with pytest.raises(ArtifactError, match="3 is missing from"):
        verify_manifest(folder)


def test_a_manifest_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_bytes(b"\xff\xfe\x81")
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged"):
        verify_manifest(folder)


def test_a_manifest_cannot_vouch_for_files_outside_its_folder(folder: Path) -> None:
    outside = folder.parent / "outside.bin"
    outside.write_bytes(b"x")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"].append({"path": "../outside.bin", "size": 1, "sha256": "0" * 64})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"\.\./outside\.bin is missing"):
        verify_manifest(folder)


def test_a_folder_that_holds_another_artifact_verifies_both(folder: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "a.bin").write_bytes(b"a")
    write_manifest(inner)
    write_manifest(folder)
    verify_manifest(inner)
    verify_manifest(folder)
    _flip(inner / "manifest.json", 0)
    with pytest.raises(ArtifactError, match=r"inner/manifest\.json"):
        verify_manifest(folder)

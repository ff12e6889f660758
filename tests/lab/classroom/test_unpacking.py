"""Archives of a class: what was altered, added, left out or points outside is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from lab.classroom import packing, unpacking
from lab.classroom.unpacking import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILES = {"notebooks/a.ipynb": b"{}", "wheels/tonnage-1-py3-none-any.whl": b"PK" * 5000}


def manifest(files: Mapping[str, bytes], **changed: Any) -> dict[str, Any]:
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
    }
    return {"format": 1, "tonnage": "1", "python": "3.11", "files": entries, **changed}


def archive(path: Path, document: object, members: Mapping[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in {"MANIFEST.json": json.dumps(document).encode(), **members}.items():
            member = tarfile.TarInfo(f"tonnage-class/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def test_a_whole_archive_is_unpacked_and_verified(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), FILES)
    unpacking.unpack(path, tmp_path / "out", unpacking.digest(path))
    assert (tmp_path / "out/notebooks/a.ipynb").read_bytes() == b"{}"
    assert set(unpacking.verify(tmp_path / "out")["files"]) == set(FILES)


def refused(path: Path, out: Path, match: str, expected: str | None = None) -> None:
    with pytest.raises(Refused, match=match):
        unpacking.unpack(path, out, expected)
    left = [each.name for each in out.parent.iterdir() if each.suffix not in (".tar", ".sha256")]
    assert left == []


def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    altered = {**FILES, "notebooks/a.ipynb": b"[]"}
    path = archive(tmp_path / "a.tar", manifest(FILES), altered)
    refused(path, tmp_path / "out", "notebooks/a.ipynb differs from the manifest")


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ({**FILES, "added": b""}, "which its manifest does not list"),
        ({"notebooks/a.ipynb": b"{}"}, "lacks wheels/"),
        ({**FILES, "../../outside": b"x"}, "does not list"),
    ],
)
def test_added_and_missing_files_are_refused(
    tmp_path: Path, members: Mapping[str, bytes], match: str
) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), members)
    refused(path, tmp_path / "out", match)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b", ""])
def test_a_path_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = {name: b"x"}
    path = archive(tmp_path / "a.tar", manifest(files), files)
    refused(path, tmp_path / "out", "outside of the folder")


def test_links_and_repeated_members_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), FILES)
    with tarfile.open(path, "a") as tar:
        tar.addfile(tarfile.TarInfo("tonnage-class/notebooks/a.ipynb"))
    refused(path, tmp_path / "out", "does not list")
    path = tmp_path / "b.tar"
    with tarfile.open(path, "w") as tar:
        data = json.dumps(manifest({"x": b""})).encode()
        head = tarfile.TarInfo("tonnage-class/MANIFEST.json")
        head.size = len(data)
        tar.addfile(head, io.BytesIO(data))
        link = tarfile.TarInfo("tonnage-class/x")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    refused(path, tmp_path / "out", "does not list")


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), FILES)
    path.write_bytes(path.read_bytes()[:4000])
    refused(path, tmp_path / "out", "a.tar|lacks")
    path.write_bytes(b"no archive")
    refused(path, tmp_path / "out", "not a complete archive")


def test_the_archives_own_digest_decides(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), FILES)
    refused(path, tmp_path / "out", "get it again", "0" * 64)
    (tmp_path / "a.tar.sha256").write_text("0" * 64 + "  a.tar\n")
    refused(path, tmp_path / "out", "get it again")


@pytest.mark.parametrize(
    "document", [[], {}, {"files": []}, {"files": {"a": 1}}, {"files": {}, "format": 2}]
)
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, document: object) -> None:
    refused(archive(tmp_path / "a.tar", document, {}), tmp_path / "out", "MANIFEST.json")


def test_a_folder_that_was_changed_later_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    unpacking.unpack(archive(tmp_path / "a.tar", manifest(FILES), FILES), out)
    (out / "wheels/evil-1-py3-none-any.whl").write_bytes(b"")
    with pytest.raises(Refused, match="was added"):
        unpacking.verify(out)
    (out / "wheels/evil-1-py3-none-any.whl").unlink()
    (out / "notebooks/a.ipynb").write_bytes(b"[]")
    with pytest.raises(Refused, match="differs"):
        unpacking.install(out, tmp_path / "env")
    assert not (tmp_path / "env").exists()


def test_the_archive_is_written_whole_and_says_nothing_of_its_host(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    packing._write(folder, packing._manifest(folder, "run"), tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
    assert next(each.name for each in members) == "tonnage-class/MANIFEST.json"
    assert {(each.uid, each.uname, each.mtime) for each in members} == {(0, "", 0)}
    unpacking.unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("text", ["", "\n", "zz  a.tar\n", "0" * 63])
def test_a_file_that_holds_no_digest_is_named(tmp_path: Path, text: str) -> None:
    path = archive(tmp_path / "a.tar", manifest(FILES), FILES)
    (tmp_path / "a.tar.sha256").write_text(text)
    refused(path, tmp_path / "out", r"a\.tar\.sha256 does not begin with a SHA-256")


@pytest.mark.parametrize("lacking", ["python", "tonnage"])
def test_a_manifest_without_its_versions_is_refused(tmp_path: Path, lacking: str) -> None:
    document = manifest(FILES)
    del document[lacking]
    path = archive(tmp_path / "a.tar", document, FILES)
    refused(path, tmp_path / "out", "can't be read")


@pytest.mark.parametrize("listed", [1, 1 << 42])
def test_a_sparse_member_is_refused_before_its_holes_are_written(
    tmp_path: Path, listed: int
) -> None:
    document = manifest({"hole": b"x"})
    document["files"]["hole"]["bytes"] = listed
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        data = json.dumps(document).encode()
        head = tarfile.TarInfo("tonnage-class/MANIFEST.json")
        head.size = len(data)
        tar.addfile(head, io.BytesIO(data))
        hole = tarfile.TarInfo("tonnage-class/hole")
        hole.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 42)}
        tar.addfile(hole)
    with tarfile.open(path) as tar:
        assert tar.getmember("tonnage-class/hole").size == 1 << 42
    refused(path, tmp_path / "out", "hole differs from the manifest in size")

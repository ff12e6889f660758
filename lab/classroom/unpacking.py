"""Unpack a class's archive, check every file by its digest, and install it without a network.

This file needs Python's standard library alone: each archive holds a copy of it, as `install.py`.

    tar xf class.tar && python3 tonnage-class/install.py

An archive's first member is MANIFEST.json: the SHA-256 and the size of every other member. It finds
damage and changes of single files. Only the digest of the whole archive, learned in another way,
tells whether the archive is the one that the teacher packed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Any

TOP = "tonnage-class"
MANIFEST = "MANIFEST.json"
FORMAT = 1
USERLAND = "userland.tar.gz"
_BLOCK = 1 << 20
_LARGEST_MANIFEST = 16 << 20


class Refused(Exception):
    """An archive or a folder differs from its manifest, or can't be used here."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(archive: Path, out: Path, expected: str | None = None) -> dict[str, Any]:
    """Unpack the archive into the new folder `out`; return its manifest.

    `expected` is the archive's own SHA-256; None takes that of a file NAME.sha256 beside it, if
    there is one. Raise Refused; the folder is then not there.
    """
    if out.exists():
        raise Refused(f"{out} is there already: choose another folder, or remove it.")
    beside = archive.with_name(f"{archive.name}.sha256")
    aside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        if expected is None and beside.is_file():
            expected = _stored_digest(beside)
        if expected is not None and (found := digest(archive)) != expected.lower():
            raise Refused(f"{archive} has the SHA-256 {found}, and not {expected}: get it again.")
        with tarfile.open(archive, "r:") as tar:
            manifest = _unpack_members(tar, aside)
        aside.rename(out)
    except (OSError, EOFError) as error:
        raise Refused(f"Can't unpack {archive}: {error}.") from error
    except tarfile.TarError as error:
        raise Refused(f"{archive} is not a complete archive: {error}. Get it again.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def _stored_digest(path: Path) -> str:
    """Return the digest in a file as sha256sum writes it. Raise Refused."""
    words = path.read_text(encoding="utf-8", errors="replace").split()
    if not words or not re.fullmatch("[0-9a-fA-F]{64}", words[0]):
        raise Refused(f"{path} does not begin with a SHA-256: get it again, or give --sha256.")
    return words[0]


def _unpack_members(tar: tarfile.TarFile, folder: Path) -> dict[str, Any]:
    """Write the members that the manifest lists into a folder, checking each."""
    first = tar.next()
    content = tar.extractfile(first) if first and first.isreg() else None
    if first is None or content is None or first.name != f"{TOP}/{MANIFEST}":
        raise Refused(f"The archive does not begin with {TOP}/{MANIFEST}: it is not a class's.")
    manifest = read_manifest(content.read(_LARGEST_MANIFEST))
    left = dict(manifest["files"])
    while member := tar.next():
        name = member.name.removeprefix(f"{TOP}/")
        entry = left.pop(name, None)
        data = tar.extractfile(member) if member.isreg() else None
        if entry is None or data is None or not member.name.startswith(f"{TOP}/"):
            raise Refused(f"The archive has {member.name!r}, which its manifest does not list.")
        if member.issparse() or member.size != entry["bytes"]:
            raise Refused(
                f"{name} differs from the manifest in size: the archive was altered or damaged."
            )
        _write(data, folder / name, name, entry)
    if left:
        raise Refused(f"The archive lacks {sorted(left)[0]}, which its manifest lists.")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return manifest


def _write(data: IO[bytes], path: Path, name: str, entry: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while block := data.read(_BLOCK):
            sha256.update(block)
            size += len(block)
            file.write(block)
    if (sha256.hexdigest(), size) != (entry["sha256"], entry["bytes"]):
        raise Refused(f"{name} differs from the manifest: the archive was altered or damaged.")


def read_manifest(text: bytes) -> dict[str, Any]:
    """Return a manifest whose paths all stay inside the folder. Raise Refused."""
    try:
        manifest = json.loads(text)
        files = manifest["files"]
        known = all(isinstance(manifest[each], str) for each in ("python", "tonnage"))
        known &= all(
            isinstance(each["sha256"], str) and isinstance(each["bytes"], int)
            for each in files.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(f"{MANIFEST} can't be read: the archive is damaged.") from error
    if not known or manifest.get("format") != FORMAT:
        raise Refused(f"{MANIFEST} has another format: unpack it with the version that packed it.")
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
            raise Refused(f"{MANIFEST} lists {name!r}, which is outside of the folder.")
    return dict(manifest)


def verify(folder: Path) -> dict[str, Any]:
    """Return the manifest of an unpacked folder whose files all agree with it. Raise Refused."""
    try:
        manifest = read_manifest((folder / MANIFEST).read_bytes())
        for name, entry in manifest["files"].items():
            path = folder / name
            if path.is_symlink() or not path.is_file():
                raise Refused(f"{path} is missing.")
            if path.stat().st_size != entry["bytes"] or digest(path) != entry["sha256"]:
                raise Refused(f"{path} differs from the manifest: it was altered or damaged.")
        listed = {f"wheels/{path.name}" for path in (folder / "wheels").glob("*.whl")}
    except OSError as error:
        raise Refused(f"Can't read {folder}: {error}.") from error
    if added := listed - set(manifest["files"]):
        raise Refused(f"{folder / min(added)} was added: the manifest does not list it.")
    return manifest


def install(folder: Path, environment: Path) -> None:
    """Install the wheels of a verified folder into a new virtual environment. Raise Refused."""
    manifest = verify(folder)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if manifest["python"] != here:
        raise Refused(
            f"The wheels are for Python {manifest['python']}, and this is {here}: run install.py"
            f" with python{manifest['python']}, or pack with this version."
        )
    for command in (
        [sys.executable, "-m", "venv", str(environment)],
        [
            str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index",
            "--disable-pip-version-check", "--no-cache-dir",
            "--find-links", str(folder / "wheels"), f"tonnage=={manifest['tonnage']}",
        ],
    ):  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Refused(f"Can't run {command[0]}: {error.strerror}.") from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise Refused(f"{' '.join(command[1:3])} failed: {lines[-1]}")


def install_userland(folder: Path, cache: Path) -> bool:
    """Unpack the user land and the kernel into the lab's cache, as root; True if it was done.

    Entries that the cache has stay. Raise Refused.
    """
    packed = folder / USERLAND
    if not packed.is_file() or os.geteuid() != 0:
        return False
    aside = cache / f".class.{os.getpid()}"
    try:
        aside.mkdir(parents=True)
        subprocess.run(
            ["tar", "-xzf", str(packed.resolve()), "--numeric-owner", "--xattrs",
             "--xattrs-include=*", "-C", str(aside)],
            capture_output=True, check=True,
        )  # fmt: skip
        for entry in sorted(aside.iterdir()):
            if not (cache / entry.name).exists():
                entry.rename(cache / entry.name)
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise Refused(
            f"tar can't unpack {packed}: {words[-1] if words else 'it failed'}"
        ) from error
    except OSError as error:
        raise Refused(f"Can't write {cache}: {error.strerror}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def main() -> int:
    """Install from the folder that holds this file; return the exit code."""
    folder = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(
        description="Check a class's folder by its digests and install it, without a network."
    )
    parser.add_argument(
        "--into", type=Path, default=folder / ".venv", metavar="DIR",
        help="the virtual environment to create; default: .venv beside this file",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, default=Path(os.environ.get("TONNAGE_CACHE", "/var/cache/tonnage")),
        metavar="DIR", help="where root puts the user land; default: /var/cache/tonnage",
    )  # fmt: skip
    options = parser.parse_args()
    try:
        install(folder, options.into)
        with_userland = install_userland(folder, options.cache)
    except Refused as error:
        print(f"install.py: {error}", file=sys.stderr)
        return 2
    binary = options.into / "bin" / "tonnage"
    run = next((folder / "run").iterdir(), folder / "run")
    print(f"installed: {binary}")
    if with_userland:
        print(f"user land and kernel: {options.cache}")
    print(f"try: {binary} race --replay {run}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

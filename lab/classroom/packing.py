"""Pack what a class needs into one archive, for hosts without a network.

MANIFEST.json     the SHA-256 and the size of each file
install.py        checks them, and installs (lab/classroom/unpacking.py)
wheels/           tonnage and all that it depends on, for this Python and this platform
notebooks/  run/  the notebooks, and the run they are about
results/          other runs that the notebooks name
userland.tar.gz   the user land as tree, image and disk, the payload, the guest's kernel
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import version
from lab.classroom import notebook, unpacking
from lab.errors import (
    AlreadyExists,
    InvalidConfig,
    InvalidRun,
    LabError,
    ReportFailed,
    Unavailable,
)
from lab.paths import CHECKOUT
from lab.results import run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pack(
    archive: Path, run: Path, progress: Callable[[str], None], *, userland: bool = True
) -> str:
    """Write the archive, and its SHA-256 beside it; return the SHA-256.

    A half-written archive never has the archive's name. Raise AlreadyExists, Unavailable if this is
    no checkout or `userland` is asked for without root, ReportFailed.
    """
    _refuse(archive, userland=userland)
    loaded = run_folder.load(run)
    aside = archive.with_name(f".{archive.name}.{os.getpid()}")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tonnage-class-", dir=archive.parent) as scratch:
            folder = Path(scratch) / "class"
            folder.mkdir()
            _gather_wheels(folder / "wheels", Path(scratch), progress)
            _gather_texts(folder, loaded.path)
            if userland:
                _gather_userland(folder / unpacking.USERLAND, progress)
            progress("writing the archive")
            _write(folder, _manifest(folder, loaded.path.resolve().name), aside)
        found = unpacking.digest(aside)
        _name(aside, archive, found)
    except OSError as error:
        raise ReportFailed(f"Can't write {archive}: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            aside.unlink()
    return found


def _name(aside: Path, archive: Path, found: str) -> None:
    """Give the archive its name, and write its digest beside it, or neither."""
    beside = archive.with_name(f"{archive.name}.sha256")
    try:
        beside.write_text(f"{found}  {archive.name}\n", encoding="utf-8")
        aside.rename(archive)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _refuse(archive: Path, *, userland: bool) -> None:
    if archive.suffix != ".tar":
        raise InvalidConfig(f"{archive}: an archive's name ends in .tar.")
    if archive.exists():
        raise AlreadyExists(f"{archive} is there already: choose another name.")
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise Unavailable("Packing needs a checkout of tonnage, from which its wheel is built.")
    if not notebook.folders():
        raise Unavailable("There is no folder notebooks/: pack from a checkout of tonnage.")
    if userland and os.geteuid() != 0:
        raise Unavailable(
            "Only root can pack the user land: use sudo, or --no-userland for a class that starts"
            " nothing and replays the run."
        )


def _gather_wheels(folder: Path, temporary: Path, progress: Callable[[str], None]) -> None:
    """Build the wheel of this checkout, and get those of all that it depends on.

    `temporary` takes pip's own files, which a pip that is killed leaves.
    """
    progress("getting wheels")
    constraints = CHECKOUT / "constraints.txt"
    command = [
        sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
        "--wheel-dir", str(folder), str(CHECKOUT),
        *(["--constraint", str(constraints)] if constraints.is_file() else []),
    ]  # fmt: skip
    code, words = _run(command, {**os.environ, "TMPDIR": str(temporary)})
    if code:
        lines = words.strip().splitlines() or ["it said nothing"]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        raise Unavailable(f"pip can't get the wheels: {errors[-1]}")


def _gather_texts(folder: Path, run: Path) -> None:
    """Copy the notebooks, the run, and the installer."""
    source = notebook.folders()[0]
    (folder / "notebooks").mkdir()
    for path in sorted(source.glob("*.ipynb")):
        shutil.copyfile(path, folder / "notebooks" / path.name)
    _copy_run(run, folder / "run")
    texts = "".join(path.read_text(encoding="utf-8") for path in source.glob("*.ipynb"))
    for other in sorted((CHECKOUT / "results").iterdir()):
        if other.name in texts and other.is_dir() and other.name != run.resolve().name:
            _copy_run(other, folder / "results")  # a notebook compares runs by their names
    shutil.copyfile(unpacking.__file__, folder / "install.py")


def _copy_run(run: Path, folder: Path) -> None:
    """Copy a run into a folder. Raise InvalidRun for a file that can't be read."""
    try:
        shutil.copytree(run, folder / run.resolve().name, ignore=shutil.ignore_patterns(".*"))
    except shutil.Error as error:
        path, _, reason = error.args[0][0]
        raise InvalidRun(f"Can't copy {path}: {reason}. Repair or remove it.") from error


def _gather_userland(packed: Path, progress: Callable[[str], None]) -> None:
    """Build what the cache lacks, and pack the entries of the user land."""
    from lab.paths import cache_directory
    from lab.userland import build

    land = build.build(progress)
    cache = cache_directory().resolve()
    parts = (land.payload, land.tree, land.image, land.disk, land.shipped_disk, land.kernel,
             land.initramfs)  # fmt: skip
    entries = sorted(
        {
            part.resolve().relative_to(cache).parts[0]
            for part in parts
            if part.resolve().is_relative_to(cache)
        }
    )
    progress("packing the user land")
    code, words = _run(
        ["tar", "-I", "gzip -1", "-cf", str(packed), "--sparse", "--numeric-owner", "--xattrs",
         "--xattrs-include=*", "-C", str(cache), *entries],
        dict(os.environ),
    )  # fmt: skip
    if code:
        raise LabError(f"tar can't pack the user land: {words.strip()[-200:]}")


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a command; return its exit code and what it wrote to standard error.

    If this command is interrupted, that one and its children are killed, and write nothing more.
    """
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            _, words = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, words


def _manifest(folder: Path, run: str) -> dict[str, Any]:
    return {
        "format": unpacking.FORMAT,
        "tonnage": version.document()["version"],
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{platform.system()} {platform.machine()}",
        "run": run,
        "files": {
            name: {"sha256": unpacking.digest(path), "bytes": path.stat().st_size}
            for name, path in _files(folder)
        },
    }


def _write(folder: Path, manifest: dict[str, Any], aside: Path) -> None:
    """Write the manifest, then the files, with times and owners that say nothing of this host."""
    path = folder / unpacking.MANIFEST
    path.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    with tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in (unpacking.MANIFEST, *manifest["files"]):
            tar.add(folder / name, f"{unpacking.TOP}/{name}", filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path

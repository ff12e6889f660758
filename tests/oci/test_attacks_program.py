"""Attacks through the runtime's program, its descriptors, and the working directory.

Attacks that succeed do no harm: they write what is already there, or to a file made for them.
docs/security.md explains the defence against each.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.attacks import ATTACK, attack, put_attacker
from tests.oci.driver import DEADLINE_SECONDS, Bundle, Runtime, waited_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ELF = b"\x7fELF"
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
# A replacement of the dynamic loader: it opens the program being run, and continues as python.
LOADER_SOURCE = r"""
static long call(long number, const void *a, const void *b, const void *c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}
void _start(void) {
    static char *arguments[] = {"ld", "/usr/bin/python3", "-I", "-S", "/attacker.py", "overwrite",
                                "9", 0};
    static char *environment[] = {0};
    long program = call(2, "/proc/self/exe", (void *)0, (void *)0);
    call(33, (void *)program, (void *)9, (void *)0);
    call(59, "/real-loader", arguments, environment);
    call(60, (void *)1, (void *)0, (void *)0);
}
"""


@pytest.fixture
def own(runtime: Runtime) -> Iterator[Runtime]:
    """Return a copy of the runtime: the kernel denies writes to a program that runs."""
    directory = runtime.scratch / "own"
    directory.mkdir()
    if Path(runtime.command).read_bytes()[:4] == ELF:
        command = str(shutil.copy(runtime.command, directory))
    else:
        command = copied_environment(Path(runtime.command), directory)
    runtime_of_its_own = Runtime(command, runtime.scratch, runtime.tree, made=1000)
    yield runtime_of_its_own
    runtime_of_its_own.remove()
    shutil.rmtree(directory)


def copied_environment(script: Path, directory: Path) -> str:
    """Copy a virtual environment, with an interpreter and our command."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--copies", "--without-pip", directory], check=True
    )
    (packages,) = script.parent.parent.glob("lib/python*/site-packages")
    inside = directory / packages.relative_to(script.parent.parent)
    shutil.rmtree(inside)
    inside.symlink_to(packages)
    copied = directory / "bin" / script.name
    copied.write_text(script.read_text().replace(str(script.parent), str(copied.parent)))
    copied.chmod(0o755)
    return str(copied)


# CVE-2019-5736: the runtime's own program, by /proc/self/exe.


@pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the attacker's machine code is for x86-64"
)
@pytest.mark.parametrize("script", [False, True], ids=["/proc/self/exe", "#!/proc/self/exe"])
def test_the_runtimes_program_is_not_written_to(own: Runtime, script: bool) -> None:
    """CVE-2019-5736: the container runs the runtime itself, with a loader of the image."""
    bundle = own.bundle()
    attack(bundle)
    put_loader(bundle)
    bundle.process["args"] = ["/proc/self/exe"]
    if script:
        (bundle.rootfs / "script").write_text("#!/proc/self/exe\n")
        (bundle.rootfs / "script").chmod(0o755)
        bundle.process["args"] = ["/script"]
    done = bundle.create()
    assert "Traceback" not in done.stderr
    if done and bundle.start():
        with suppress(pytest.fail.Exception):
            waited_for(lambda: "reached" in bundle.output(), "the attacker has it", 1.5)
            waited_for(lambda: bundle.output().count("\n") >= 2, "the attacker has tried", 6.0)
    assert "WRITTEN" not in bundle.output()
    assert "ETXTBSY" not in bundle.output()


def put_loader(bundle: Bundle) -> None:
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    source = bundle.path / "loader.c"
    source.write_text(LOADER_SOURCE)
    loader = bundle.rootfs / LOADER.resolve().relative_to("/")
    shutil.copy(loader, bundle.rootfs / "real-loader")
    loader.unlink()
    subprocess.run(
        [
            "gcc",
            "-O1",
            "-nostdlib",
            "-static",
            "-ffreestanding",
            "-Wl,-Ttext-segment=0x60000000",
            "-o",
            loader,
            source,
        ],
        check=True,
    )


@pytest.mark.parametrize("words", [["/bin/true"], ["/proc/self/exe"], ["/script"]])
def test_what_comes_by_exec_cannot_be_looked_into(own: Runtime, words: list[str]) -> None:
    """CVE-2019-5736, CVE-2016-9962: a container watches processes that join it."""
    bundle = own.bundle()
    (bundle.rootfs / "script").write_text("#!/proc/self/exe\n")
    (bundle.rootfs / "script").chmod(0o755)
    attack(bundle, "watch", "2")
    assert bundle.create(), bundle.errors()
    assert bundle.start()
    waited_for(lambda: "watching" in bundle.output(), "the attacker watches")
    for _ in range(15):
        bundle.exec(bundle.identity, *words)
    waited_for(lambda: "watched" in bundle.output(), "the attacker is done", 15.0)
    assert "WRITTEN" not in bundle.output()
    assert "ESCAPED" not in bundle.output()


# CVE-2024-21626: descriptors and working directories outside the root.


@pytest.fixture
def marker(runtime: Runtime) -> Iterator[Path]:
    """Make a file on the host."""
    path = runtime.scratch / "marker"
    path.write_text("the host's")
    yield path
    path.unlink()


@pytest.mark.parametrize("number", [*range(3, 13), 20, 100])
def test_no_working_directory_leads_out(bundle: Bundle, marker: Path, number: int) -> None:
    """CVE-2024-21626: the working directory is a descriptor of the runtime."""
    attack(bundle, "up", str(marker))
    bundle.process["cwd"] = f"/proc/self/fd/{number}"
    bundle.run()
    assert "ESCAPED" not in bundle.output()
    assert "stands in" not in bundle.output() or "stands in /" in bundle.output()


def test_no_working_directory_of_an_exec_leads_out(bundle: Bundle, marker: Path) -> None:
    """CVE-2024-21626, by exec --cwd."""
    bundle.running()
    put_attacker(bundle)
    (bundle.rootfs / "link").symlink_to("/proc/self/fd/7")
    for cwd in (*(f"/proc/self/fd/{number}" for number in range(3, 10)), "/link", "/proc/1/root"):
        done = bundle.exec("--cwd", cwd, bundle.identity, *ATTACK, "up", str(marker))
        assert "ESCAPED" not in done.stdout, cwd


def test_no_descriptor_is_inherited(bundle: Bundle) -> None:
    """CVE-2024-21626, CVE-2016-9962: descriptors that the runtime's caller left open."""
    bundle.shell("ls /proc/self/fd")
    bundle.write()
    descriptors = [os.open(path, os.O_RDONLY) for path in ("/", "/etc/passwd", "/proc")]
    try:
        done = subprocess.run(
            [bundle.runtime.command, "--root", bundle.runtime.root, "run", "--bundle", bundle.path,
             bundle.identity],
            pass_fds=descriptors, capture_output=True, check=False, text=True,
            stdin=subprocess.DEVNULL, timeout=DEADLINE_SECONDS,
        )  # fmt: skip
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    assert done.returncode == 0, done.stderr
    # The last one is of ls reading the directory.
    assert done.stdout.split() == ["0", "1", "2", "3"]

"""Filters in the kernel, and a comparison with the programs that crun compiles."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.linux import libseccomp
from runtime.linux import seccomp as kernel
from runtime.seccomp import cache
from runtime.seccomp.filter import Filter
from runtime.spec import docker_profile
from tests.runtime.seccomp import bpf
from tests.runtime.seccomp.sections import section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = pytest.mark.root
LIBC = ctypes.CDLL(None, use_errno=True)
SET_NO_NEW_PRIVS = 38
# ioctls of a listener's descriptor, and the structures that they read and write.
NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
NOTIFICATION, RESPONSE = struct.Struct("QII iIQ6Q"), struct.Struct("QqiI")
CONTINUE = 1
# The result of getpriority(2) for this process, which may be nice.
PRIORITY = 20 - os.getpriority(os.PRIO_PROCESS, 0)
ON_X86_64 = libseccomp.native_architecture() == kernel.AUDIT_ARCH_X86_64


@pytest.fixture(autouse=True)
def _kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_compiled", {})
    monkeypatch.setattr(cache, "directory", lambda: str(tmp_path / "filters"))


def call(name: str, *arguments: int) -> int:
    """Make a system call; return its result, or its errno as a negative number."""
    result = LIBC.syscall(libseccomp.number(name), *map(ctypes.c_long, arguments))
    return -ctypes.get_errno() if result < 0 else int(result)


def load(compiled: Filter) -> int:
    """Load a filter for this process; return the listener's descriptor, or 0."""
    assert LIBC.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    program = ctypes.create_string_buffer(compiled.program, len(compiled.program))
    argument = kernel.sock_fprog(ctypes.addressof(program), len(program))
    number = libseccomp.number("seccomp")
    result = LIBC.syscall(number, kernel.SET_MODE_FILTER, compiled.flags, argument)
    assert result >= 0, os.strerror(ctypes.get_errno())
    return int(result)


def filtered(compiled: Filter, calls: Callable[[], object]) -> tuple[int, str]:
    """Make system calls in a child under a filter; return its status and their results."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            load(compiled)
            os.write(writing, json.dumps(calls()).encode())
            os._exit(0)
        finally:
            os._exit(99)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123
        text = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def compiled(action: str, *, default: str = "ALLOW", **fields: Any) -> Filter:
    names = fields.pop("names", ["getpriority"])
    rule = {"names": names, "action": f"SCMP_ACT_{action}"}
    rule |= {key: fields.pop(key) for key in ("args", "errnoRet") if key in fields}
    return cache.compile(
        section({"defaultAction": f"SCMP_ACT_{default}", "syscalls": [rule], **fields})
    )


def test_an_errno_is_returned() -> None:
    filter_ = compiled("ERRNO", errnoRet=errno.EXDEV)
    assert filtered(filter_, lambda: [call("getpriority", 0, 0), call("getppid") > 0]) == (
        0,
        json.dumps([-errno.EXDEV, True]),
    )


def test_an_argument_decides() -> None:
    args = [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}]
    filter_ = compiled("ERRNO", args=args)
    assert filtered(filter_, lambda: [call("getpriority", each, 0) for each in (0, 1)]) == (
        0,
        json.dumps([PRIORITY, -errno.EPERM]),
    )


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"])
def test_a_call_can_be_the_last(action: str) -> None:
    status, output = filtered(compiled(action), lambda: call("getpriority", 0, 0))
    assert (status, output) == (-signal.SIGSYS, "")


def test_a_trap_can_be_caught() -> None:
    def calls() -> list[int]:
        caught: list[int] = []
        signal.signal(signal.SIGSYS, lambda number, _: caught.append(number))
        call("getpriority", 0, 0)
        return caught

    assert filtered(compiled("TRAP"), calls) == (0, json.dumps([signal.SIGSYS]))


def test_a_call_that_is_logged_is_made() -> None:
    filter_ = compiled("LOG", flags=["SECCOMP_FILTER_FLAG_LOG"])
    assert filtered(filter_, lambda: call("getpriority", 0, 0)) == (0, str(PRIORITY))


def test_a_call_that_no_tracer_answers_is_not_there() -> None:
    filter_ = compiled("TRACE", errnoRet=5)
    assert filtered(filter_, lambda: call("getpriority", 0, 0)) == (0, str(-errno.ENOSYS))


@pytest.mark.parametrize(
    "flags", [[], ["TSYNC"], ["LOG"], ["SPEC_ALLOW"], ["TSYNC", "LOG"], ["WAIT_KILLABLE_RECV"]]
)
def test_the_kernel_takes_each_flag(flags: list[str]) -> None:
    filter_ = compiled("ERRNO", flags=[f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags])
    assert filtered(filter_, lambda: call("getpriority", 0, 0)) == (0, str(-errno.EPERM))


@pytest.mark.parametrize("flags", [None, [], ["WAIT_KILLABLE_RECV"], ["TSYNC"]])
def test_a_listener_answers(flags: list[str] | None) -> None:
    """The listener answers the calls with a value, with an errno, and with permission to go on."""
    more: dict[str, Any] = (
        {} if flags is None else {"flags": [f"SECCOMP_FILTER_FLAG_{flag}" for flag in flags]}
    )
    filter_ = compiled("NOTIFY", listenerPath="/run/unused", **more)
    pid = os.fork()
    if pid == 0:
        answers = [-1]
        try:
            load(filter_)
            answers = [call("getpriority", 0, each) for each in (0, 0, 0)]
        finally:
            os._exit(42 if answers == [7, -errno.EDOM, PRIORITY] else 99)
    with open(listener_of(pid), "rb") as listener:
        for value, code, flag in ((7, 0, 0), (0, -errno.EDOM, 0), (0, 0, CONTINUE)):
            asked = bytearray(NOTIFICATION.size)
            fcntl.ioctl(listener, NOTIF_RECV, asked)
            identity, sender, _, number, *_ = NOTIFICATION.unpack(asked)
            assert (sender, number) == (pid, libseccomp.number("getpriority"))
            fcntl.ioctl(listener, NOTIF_SEND, RESPONSE.pack(identity, value, code, flag))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42


def listener_of(pid: int) -> int:
    """Return the listener of a child, as soon as it has one."""
    pidfd = os.pidfd_open(pid)
    try:
        while True:
            for path in Path(f"/proc/{pid}/fd").iterdir():
                if "seccomp notify" in str(path.readlink()):
                    return call("pidfd_getfd", pidfd, int(path.name), 0)
    finally:
        os.close(pidfd)


@pytest.mark.skipif(not ON_X86_64, reason="needs the 32-bit system calls of x86-64")
@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_a_call_of_an_architecture_that_is_not_named_kills(tmp_path: Path) -> None:
    """The call is made by int 0x80 in a 64-bit program."""
    source = tmp_path / "old.c"
    source.write_text(
        'int main(void) { int r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(20));'
        " return r > 0 ? 42 : 43; }"
    )
    subprocess.run(["gcc", "-static", "-o", tmp_path / "old", source], check=True)
    program = str(tmp_path / "old")
    assert filtered(compiled("LOG"), lambda: os.execv(program, [program]))[0] == -signal.SIGSYS
    with_it = compiled("LOG", architectures=["SCMP_ARCH_X86"])
    assert filtered(with_it, lambda: os.execv(program, [program]))[0] == 42


def test_programs_run_under_the_default_profile() -> None:
    filter_ = cache.compile(section(docker_profile.seccomp()))
    script = "sleep 0.01 & wait; mkdir /proc/x; exec unshare --user true"
    status, _ = filtered(filter_, lambda: os.execv("/bin/sh", ["sh", "-c", script]))
    assert status == 1
    python = "import threading; t = threading.Thread(target=print); t.start(); t.join()"
    status, _ = filtered(filter_, lambda: os.execv(sys.executable, ["python", "-c", python]))
    assert status == 0


# The programs that crun compiles, which it writes into a container's state directory.

SECTIONS = {
    "the default profile": docker_profile.seccomp(),
    "the default profile with every capability": docker_profile.seccomp(
        tuple(docker_profile.WITH_CAPABILITY)
    ),
    "arguments": {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {
                "names": ["getpriority"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": errno.EXDEV,
                "args": [
                    {"index": 0, "op": "SCMP_CMP_GT", "value": 8, "valueTwo": 0},
                    {"index": 1, "op": "SCMP_CMP_MASKED_EQ", "value": 9, "valueTwo": 1},
                ],
            },
            {
                "names": ["setpriority"],
                "action": "SCMP_ACT_KILL_PROCESS",
                "args": [
                    {"index": 0, "op": "SCMP_CMP_EQ", "value": 1, "valueTwo": 0},
                    {"index": 0, "op": "SCMP_CMP_EQ", "value": 8, "valueTwo": 0},
                    {"index": 1, "op": "SCMP_CMP_NE", "value": 0, "valueTwo": 0},
                ],
            },
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_LOG"},
        ],
    },
}
ARGUMENTS = [(0, 0), (1, 1), (8, 3), (9, 1), (38, 0), (40, 0), (0x10000000, 0), (0xFFFFFFFF, 9)]


@pytest.fixture
def crun_program(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], bytes]]:
    """Return a compiler of sections that uses crun."""
    if not shutil.which("crun"):
        pytest.skip("crun is not installed")
    bundle, identity = tmp_path / "bundle", f"tonnage-seccomp-{os.getpid()}"
    (bundle / "rootfs/dev").mkdir(parents=True)
    # crun 1.8 refuses hybrid cgroups: unmount version 2 in a mount namespace.
    unmounting = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun --root "$@"'
    command = ["unshare", "--mount", "sh", "-c", unmounting, "crun", str(tmp_path / "state")]

    def compile_by_crun(document: dict[str, Any]) -> bytes:
        config = {
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {"args": ["/none"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "linux": {
                "cgroupsPath": f"/{identity}",
                "namespaces": [{"type": "mount"}, {"type": "pid"}],
                "seccomp": document,
            },
        }
        (bundle / "rootfs/none").touch(mode=0o755)
        (bundle / "config.json").write_text(json.dumps(config))
        with (tmp_path / "stderr").open("w") as stderr:
            result = subprocess.run(
                [*command, "create", "--bundle", str(bundle), identity],
                check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            )  # fmt: skip
        assert result.returncode == 0, (tmp_path / "stderr").read_text()
        program = (tmp_path / "state" / identity / "seccomp.bpf").read_bytes()
        subprocess.run(
            [*command, "delete", "--force", identity],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return program

    yield compile_by_crun
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        if (hierarchy / identity).is_dir():
            (hierarchy / identity).rmdir()


@pytest.mark.skipif(not ON_X86_64, reason="uses the system calls of x86-64")
@pytest.mark.parametrize("name", SECTIONS)
def test_crun_compiles_the_same(name: str, crun_program: Callable[[dict[str, Any]], bytes]) -> None:
    """All calls are compared but those newer than the section, for which crun has no rule."""
    document = SECTIONS[name]
    theirs, ours = crun_program(document), cache.compile(section(document)).program
    architectures = [(kernel.AUDIT_ARCH_X86_64, 0)]
    if "SCMP_ARCH_X86" in document.get("architectures", ()):
        architectures += [(0x40000003, 0), (kernel.AUDIT_ARCH_X86_64, kernel.X32_BIT)]
    newer = kernel.RET_ERRNO | errno.ENOSYS
    compared = 0
    for architecture, base in architectures:
        for number in range(base, base + 470):
            for arguments in ARGUMENTS:
                expected = bpf.run(theirs, architecture, number, *arguments)
                actual = bpf.run(ours, architecture, number, *arguments)
                if actual == newer and expected == kernel.RET_ERRNO | errno.EPERM:
                    continue
                assert actual == expected, (hex(architecture), number, arguments)
                compared += 1
    assert compared > 300 * len(ARGUMENTS)

"""Docker's profile: its program is run, and shows what a container may do."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest

from runtime.linux import capabilities, libseccomp
from runtime.seccomp import cache
from runtime.spec import docker_profile
from tests.runtime.seccomp import bpf
from tests.runtime.seccomp.sections import section

if TYPE_CHECKING:
    from collections.abc import Collection

NATIVE = libseccomp.native_architecture()
ALLOW, ERRNO = 0x7FFF0000, 0x50000
EPERM, ENOSYS = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
NEW_USER, NEW_NET, THREAD = 0x10000000, 0x40000000, 0x3D0F00

pytestmark = pytest.mark.skipif(NATIVE != 0xC000003E, reason="uses the system calls of x86-64")


@pytest.fixture(autouse=True)
def _kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "directory", lambda: "")


def answer(
    name: str, *arguments: int, granted: Collection[str] = docker_profile.CAPABILITIES
) -> int:
    compiled = cache.compile(section(docker_profile.seccomp(granted)))
    number = libseccomp.number(name)
    assert number is not None
    return bpf.run(compiled.program, NATIVE, number, *arguments)


@pytest.mark.parametrize(
    "name", ["read", "execve", "openat", "ptrace", "futex", "arch_prctl", "chroot", "seccomp"]
)
def test_ordinary_calls_are_allowed(name: str) -> None:
    assert answer(name) == ALLOW


@pytest.mark.parametrize(
    "name",
    [
        "mount", "umount2", "unshare", "setns", "pivot_root", "swapon", "bpf", "perf_event_open",
        "init_module", "kexec_load", "reboot", "keyctl", "add_key", "request_key", "userfaultfd",
        "io_uring_setup", "io_uring_enter", "open_by_handle_at", "settimeofday", "iopl", "kcmp",
        "nfsservctl", "_sysctl", "ustat", "acct", "quotactl", "syslog", "vhangup", "mbind",
    ],
)  # fmt: skip
def test_calls_that_reach_the_host_are_not(name: str) -> None:
    assert answer(name) == EPERM


@pytest.mark.parametrize(
    ("name", "capability"),
    [(names.split()[0], each) for each, names in docker_profile.WITH_CAPABILITY.items()],
)
def test_a_capability_brings_the_calls_that_it_is_for(name: str, capability: str) -> None:
    number = libseccomp.number(name)
    if number is None or number < 0:
        pytest.skip(f"{name} is not a system call of this machine")
    assert answer(name, granted=[]) != ALLOW
    assert answer(name, granted=[capability]) == ALLOW


def test_each_capability_has_its_name() -> None:
    assert {*docker_profile.WITH_CAPABILITY, *docker_profile.CAPABILITIES} <= set(
        capabilities.NAMES
    )


def test_threads_are_made_and_namespaces_are_not() -> None:
    assert answer("clone", THREAD) == ALLOW
    for flag in (NEW_USER, NEW_NET, NEW_USER | THREAD):
        assert answer("clone", flag) == EPERM
    assert answer("clone3") == ENOSYS
    for name in ("clone", "clone3", "unshare"):
        assert answer(name, NEW_USER, granted=["CAP_SYS_ADMIN"]) == ALLOW


def test_sockets_of_the_hypervisor_and_of_the_kernels_algorithms_are_not_made() -> None:
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, 39, 41, 44):
        assert answer("socket", family) == ALLOW
    for family in (socket.AF_ALG, socket.AF_VSOCK):
        assert answer("socket", family) == EPERM


def test_addresses_stay_random() -> None:
    assert answer("personality", 0) == ALLOW
    assert answer("personality", 0xFFFFFFFF) == ALLOW
    assert answer("personality", 0x0040000) == EPERM


def test_a_call_that_nobody_knew_is_not_there() -> None:
    compiled = cache.compile(section(docker_profile.seccomp()))
    assert bpf.run(compiled.program, NATIVE, 600) == ENOSYS


def test_no_call_is_in_two_groups() -> None:
    names = [name for group in docker_profile.ALLOWED for name in group.split()]
    assert len(names) == len(set(names))


def test_masked_paths_are_absolute_and_the_kernels() -> None:
    for path in (*docker_profile.masked_paths(), *docker_profile.READONLY_PATHS):
        assert path.startswith(("/proc/", "/sys/"))

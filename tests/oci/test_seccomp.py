"""config-linux.md, "Seccomp"."""

from __future__ import annotations

import array
import json
import os
import platform
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.oci.driver import Bundle

NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[platform.machine()]
GETCPU = "import ctypes; r = ctypes.CDLL(None, use_errno=True).getpriority({}, {}); "
TELL = "print(r, ctypes.get_errno())"
# At the nice value with which the tests were started.
PASSED = (0, f"{os.getpriority(os.PRIO_PROCESS, 0)} 0")


def profile(action: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"defaultAction": action, "architectures": [NATIVE], "syscalls": list(rules), **more}


def rule(action: str, *args: dict[str, Any], names: str = "getpriority", **more: Any) -> Any:
    return {"names": [names], "action": action, "args": list(args), **more}


def call(bundle: Bundle, which: int = 0, who: int = 0) -> tuple[int, str]:
    """Call getpriority(which, who) in the container; return the exit code, result and errno."""
    bundle.process["args"] = [
        "/usr/bin/python3", "-I", "-S", "-c", GETCPU.format(which, who) + TELL
    ]  # fmt: skip
    result = bundle.run()
    return result.exit_code, result.stdout.strip()


def test_an_errno_is_what_the_call_gets(bundle: Bundle) -> None:
    """syscalls: SCMP_ACT_ERRNO with its errnoRet."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", errnoRet=38))
    assert call(bundle) == (0, "-1 38")


def test_the_default_errno_is_eperm(bundle: Bundle) -> None:
    """syscalls: errnoRet, "The default is EPERM"."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO"))
    assert call(bundle) == (0, "-1 1")


@pytest.mark.parametrize("action", ["SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
def test_an_action_that_ends_the_process(bundle: Bundle, action: str) -> None:
    """syscalls: the actions that kill, and the one that sends SIGSYS."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_ALLOW", rule(action))
    # The kernel does not deliver the signal to the first process of a PID namespace.
    bundle.without_namespace("pid")
    assert call(bundle) == (128 + signal.SIGSYS, "")


@pytest.mark.parametrize("action", ["SCMP_ACT_LOG", "SCMP_ACT_ALLOW"])
def test_an_action_that_lets_the_call_pass(bundle: Bundle, action: str) -> None:
    """syscalls: the actions that allow, under another default action."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_LOG", rule(action))
    assert call(bundle) == PASSED


@pytest.mark.parametrize(
    ("op", "values", "hit", "missed"),
    [
        ("SCMP_CMP_EQ", [3, 0], 3, 4),
        ("SCMP_CMP_NE", [3, 0], 4, 3),
        ("SCMP_CMP_LT", [3, 0], 2, 3),
        ("SCMP_CMP_LE", [3, 0], 3, 4),
        ("SCMP_CMP_GE", [3, 0], 3, 2),
        ("SCMP_CMP_GT", [3, 0], 4, 3),
        ("SCMP_CMP_MASKED_EQ", [0xF0, 0x10], 0x1F, 0x2F),
    ],
)
def test_operators(bundle: Bundle, op: str, values: list[int], hit: int, missed: int) -> None:
    """syscalls: args, each operator with its value and valueTwo."""
    condition = {"index": 1, "value": values[0], "valueTwo": values[1], "op": op}
    bundle.linux["seccomp"] = profile(
        "SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", condition, errnoRet=38)
    )
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"for who in ({hit}, {missed}):\n"
        "    ctypes.set_errno(0)\n"
        "    libc.getpriority(0, who)\n"
        "    print(ctypes.get_errno())\n"
    )
    bundle.process["args"] = ["/usr/bin/python3", "-I", "-S", "-c", script]
    refused, passed = bundle.run().stdout.split()
    assert refused == "38"
    assert passed != "38"


def test_unknown_system_calls_are_no_error(bundle: Bundle) -> None:
    """syscalls: profiles name calls that the host's kernel or architecture lacks."""
    bundle.linux["seccomp"] = profile(
        "SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", names="no_such_system_call")
    )
    assert call(bundle) == PASSED


def test_the_filter_is_in_force_without_new_privileges(bundle: Bundle) -> None:
    """Seccomp: with noNewPrivileges, and for a user without capabilities."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", errnoRet=38))
    bundle.process.update(noNewPrivileges=True, user={"uid": 1000, "gid": 1000}, capabilities={})
    assert call(bundle) == (0, "-1 38")


@pytest.mark.parametrize("flag", ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
def test_flags(bundle: Bundle, flag: str) -> None:
    """Seccomp: the flags are passed to seccomp(2)."""
    bundle.linux["seccomp"] = profile(
        "SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", errnoRet=38), flags=[flag]
    )
    assert call(bundle) == (0, "-1 38")


def test_exec_is_filtered_as_well(bundle: Bundle) -> None:
    """`exec`: joined processes have the container's filter."""
    bundle.linux["seccomp"] = profile("SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", errnoRet=38))
    bundle.running()
    result = bundle.exec(
        bundle.identity, "/usr/bin/python3", "-I", "-S", "-c", GETCPU.format(0, 0) + TELL
    )
    assert result.stdout == "-1 38\n"


@pytest.mark.parametrize("path", ["agent", "/no/such/agent"])
def test_a_listener_without_a_rule_for_it_is_sent_nothing(bundle: Bundle, path: str) -> None:
    """Container Process State: it is sent only with the action SCMP_ACT_NOTIFY."""
    bundle.linux["seccomp"] = profile(
        "SCMP_ACT_ALLOW", rule("SCMP_ACT_ERRNO", names="quotactl"), listenerPath=path
    )
    bundle.shell("echo ran")
    assert bundle.run().stdout == "ran\n"
    bundle.running()
    assert bundle.exec(bundle.identity, "true")


def test_the_listener_is_sent_the_state_and_the_descriptor(bundle: Bundle) -> None:
    """Container Process State: exactly one, as JSON, its descriptor with the first message.

    The connection MUST be closed after it was sent.
    """
    path = bundle.path / "agent"
    received: list[tuple[bytes, list[int]]] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                text, fds = b"", array.array("i")
                while True:
                    data, ancillary, *_ = connection.recvmsg(65536, 1024)
                    for _, _, raw in ancillary:
                        fds.frombytes(raw)
                    if not data:
                        break
                    text += data
                received.append((text, list(fds)))

        thread = threading.Thread(target=serve)
        thread.start()
        bundle.linux["seccomp"] = profile(
            "SCMP_ACT_ALLOW",
            rule("SCMP_ACT_NOTIFY", names="quotactl"),
            listenerPath=str(path),
            listenerMetadata="meta=data",
        )
        bundle.running()
        thread.join()
    ((text, fds),) = received
    assert len(fds) == 1
    assert "seccomp" in str(Path(f"/proc/self/fd/{fds[0]}").readlink())
    os.close(fds[0])
    state = json.loads(text)
    assert state["fds"] == ["seccompFd"]
    assert state["metadata"] == "meta=data"
    assert state["pid"] == bundle.state()["pid"]
    assert state["state"]["id"] == bundle.identity
    assert state["state"]["status"] in {"creating", "created"}
    assert state["ociVersion"]

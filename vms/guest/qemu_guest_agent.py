"""Run commands inside a machine by qemu-guest-agent, which libvirt talks to for us.

The machine needs a channel of that name, and the package in it.
(QEMU, docs/interop/qemu-ga-ref; virDomainQemuAgentCommand)
"""

from __future__ import annotations

import base64
import json
import math
import shlex
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import libvirt
import libvirt_qemu

from vms.errors import MachineError
from vms.guest.interface import Completed
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CHANNEL = "org.qemu.guest_agent.0"
_BLOCK_BYTES = 48 << 10  # an emulated guest takes seconds to parse a longer message
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.25
_PART = "~part"
# Told by the guest's own clock, to a hundredth of a second, by what every shell has built in.
_TIMED = (
    "read a _ </proc/uptime; "
    '"$@"; c=$?; read b _ </proc/uptime; printf "\\n%s %s" "$a" "$b" >&2; exit $c'
)


class GuestAgent:
    """qemu-guest-agent in a machine, by libvirt's handle of it."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end; its time is the guest's, to a hundredth of a second.

        Raises MachineError if it does not end in time: it then runs on.
        """
        deadline = time.monotonic() + timeout_seconds
        words: dict[str, object] = {
            "path": "/bin/sh",
            "arg": ["-c", _TIMED, argv[0], *argv],
            "capture-output": True,
        }
        if stdin:
            words["input-data"] = base64.b64encode(stdin).decode()
        pid = self._ask("guest-exec", deadline, **words)["pid"]
        pause = _FIRST_PAUSE_SECONDS
        while not (state := self._ask("guest-exec-status", deadline, pid=pid))["exited"]:
            if time.monotonic() + pause > deadline:
                raise MachineError(
                    f"{argv[0]} in the machine did not end within {timeout_seconds:g} s."
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        stderr, elapsed_ns = _without_times(_decoded(state, "err-data"))
        code = 128 + state["signal"] if "signal" in state else state.get("exitcode", 0)
        return Completed(code, _decoded(state, "out-data"), stderr, elapsed_ns)

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """A file's content in blocks of 48 KiB, each within that time. Raises MachineError."""
        handle = self._ask("guest-file-open", _in(timeout_seconds), path=path, mode="r")
        try:
            while True:
                read = self._ask(
                    "guest-file-read", _in(timeout_seconds), handle=handle, count=_BLOCK_BYTES
                )
                if read["count"]:
                    yield base64.b64decode(read["buf-b64"])
                if read["eof"]:
                    return
        finally:
            self._close(handle, timeout_seconds)

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Put a file there whole, each 48 KiB within that time. Raises MachineError."""
        part = path + _PART
        handle = self._ask("guest-file-open", _in(timeout_seconds), path=part, mode="w")
        try:
            for block in blocks:
                for at in range(0, len(block), _BLOCK_BYTES):
                    some = base64.b64encode(block[at : at + _BLOCK_BYTES]).decode()
                    words = {"handle": handle, "buf-b64": some}
                    self._ask("guest-file-write", _in(timeout_seconds), **words)
        finally:
            self._close(handle, timeout_seconds)
        place = f"chmod {mode:o} {shlex.quote(part)} && mv -fT {shlex.quote(part)}"
        done = self.run(["sh", "-c", f"{place} {shlex.quote(path)}"], timeout_seconds)
        if done.exit_code:
            raise MachineError(f"In the machine: {done.stderr.decode(errors='replace').strip()}.")

    def shut_down(self) -> None:
        """Ask for the machine's end, and don't wait for it. Raises MachineError if nobody hears."""
        with translate_errors("The agent can't shut the machine down"):
            self._handle.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)

    def answers(self, timeout_seconds: float) -> bool:
        """Whether it does within that time."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            with suppress(MachineError):
                self._ask("guest-ping", deadline)
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_LONGEST_PAUSE_SECONDS)

    def _close(self, handle: int, timeout_seconds: float) -> None:
        with suppress(MachineError):
            self._ask("guest-file-close", _in(timeout_seconds), handle=handle)

    def _ask(self, command: str, deadline: float, **arguments: object) -> Any:
        left_seconds = max(1, math.ceil(deadline - time.monotonic()))
        request: dict[str, object] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        with translate_errors("qemu-guest-agent in the machine"):
            said = libvirt_qemu.qemuAgentCommand(self._handle, json.dumps(request), left_seconds, 0)
        return json.loads(said)["return"]


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def _decoded(state: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(state.get(name, ""))


def _without_times(stderr: bytes) -> tuple[bytes, int]:
    """What the command said, and the nanoseconds between the two times behind it."""
    said, _, times = stderr.rpartition(b"\n")
    try:
        begin, end = (float(word) for word in times.split())
    except ValueError:  # its shell was killed, or there was more than the agent keeps
        return stderr, 0
    return said, round((end - begin) * 1e9)

"""Run commands inside a machine by qemu-guest-agent, through libvirt.

The machine needs a channel named org.qemu.guest_agent.0, and the guest the package.
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

from vms.errors import GuestError, InvalidState, MachineError, TimedOut
from vms.guest.interface import Completed
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

CHANNEL = "org.qemu.guest_agent.0"
_BLOCK_BYTES = 48 << 10  # an emulated guest takes seconds to parse a longer message
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.005, 0.25
_PART_SUFFIX = "~part"
# Appends the guest's uptime before and after the command to stderr, in hundredths of a second. It
# uses only builtins, which every shell has.
_TIMED = (
    "read a _ </proc/uptime; "
    '"$@"; c=$?; read b _ </proc/uptime; printf "\\n%s %s" "$a" "$b" >&2; exit $c'
)


class GuestAgent:
    """qemu-guest-agent in a machine, reached by libvirt's handle of the machine.

    `panic_since` is that of `vms.guest.tonnage_agent.Agent`.
    """

    def __init__(self, handle: Any, panic_since: Callable[[int], str]) -> None:
        self._handle = handle
        self._panic_since = panic_since

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end; its time is the guest's, to a hundredth of a second.

        Raises TimedOut if the command does not end in time; it goes on in the guest. Raises
        MachineError if the agent does not answer, with the panic if the guest's kernel had one.
        """
        begun_ns = time.monotonic_ns()
        try:
            return self._run(argv, timeout_seconds, stdin)
        except MachineError as error:
            if panic := self._panic_since(begun_ns):
                raise InvalidState(
                    f"The machine ended while {argv[0]} ran in it: {panic}."
                ) from error
            raise

    def _run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes) -> Completed:
        deadline = time.monotonic() + timeout_seconds
        arguments: dict[str, object] = {
            "path": "/bin/sh",
            "arg": ["-c", _TIMED, argv[0], *argv],
            "capture-output": True,
        }
        if stdin:
            arguments["input-data"] = base64.b64encode(stdin).decode()
        pid = self._execute("guest-exec", deadline, **arguments)["pid"]
        pause = _FIRST_PAUSE_SECONDS
        while not (status := self._execute("guest-exec-status", deadline, pid=pid))["exited"]:
            if time.monotonic() + pause > deadline:
                raise TimedOut(
                    f"{argv[0]} in the machine did not end within {timeout_seconds:g} s."
                )
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        stderr, elapsed_ns = _split_times(_decoded(status, "err-data"))
        code = 128 + status["signal"] if "signal" in status else status.get("exitcode", 0)
        return Completed(code, _decoded(status, "out-data"), stderr, elapsed_ns)

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """Yield a file's content in blocks of 48 KiB. Raises MachineError.

        The timeout is for each block.
        """
        handle = self._execute("guest-file-open", _deadline(timeout_seconds), path=path, mode="r")
        try:
            while True:
                reply = self._execute(
                    "guest-file-read",
                    _deadline(timeout_seconds),
                    handle=handle,
                    count=_BLOCK_BYTES,
                )
                if reply["count"]:
                    yield base64.b64decode(reply["buf-b64"])
                if reply["eof"]:
                    return
        finally:
            self._close(handle, timeout_seconds)

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Write a file; it appears under its path once it is complete. Raises MachineError.

        The timeout is for each 48 KiB.
        """
        part = path + _PART_SUFFIX
        handle = self._execute("guest-file-open", _deadline(timeout_seconds), path=part, mode="w")
        try:
            for block in blocks:
                for start in range(0, len(block), _BLOCK_BYTES):
                    piece = base64.b64encode(block[start : start + _BLOCK_BYTES]).decode()
                    arguments = {"handle": handle, "buf-b64": piece}
                    self._execute("guest-file-write", _deadline(timeout_seconds), **arguments)
        finally:
            self._close(handle, timeout_seconds)
        rename = f"chmod {mode:o} {shlex.quote(part)} && mv -fT {shlex.quote(part)}"
        result = self.run(["sh", "-c", f"{rename} {shlex.quote(path)}"], timeout_seconds)
        if result.exit_code:
            raise GuestError(f"In the machine: {result.stderr.decode(errors='replace').strip()}.")

    def shut_down(self) -> None:
        """Ask the guest to shut down and return at once.

        Raises MachineError if the agent can't be reached.
        """
        with translate_errors("The agent can't shut the machine down"):
            self._handle.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)

    def answers(self, timeout_seconds: float) -> bool:
        """Return True if the agent answers within the timeout."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            with suppress(MachineError):
                self._execute("guest-ping", deadline)
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_LONGEST_PAUSE_SECONDS)

    def _close(self, handle: int, timeout_seconds: float) -> None:
        with suppress(MachineError):
            self._execute("guest-file-close", _deadline(timeout_seconds), handle=handle)

    def _execute(self, command: str, deadline: float, **arguments: object) -> Any:
        """Return the agent's reply to a command of its protocol. Raises MachineError."""
        left_seconds = max(1, math.ceil(deadline - time.monotonic()))
        request: dict[str, object] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        with translate_errors("qemu-guest-agent in the machine"):
            reply = libvirt_qemu.qemuAgentCommand(
                self._handle, json.dumps(request), left_seconds, 0
            )
        return json.loads(reply)["return"]


def _deadline(seconds: float) -> float:
    return time.monotonic() + seconds


def _decoded(status: dict[str, Any], name: str) -> bytes:
    return base64.b64decode(status.get(name, ""))


def _split_times(stderr: bytes) -> tuple[bytes, int]:
    """Return the command's own stderr, and the nanoseconds between the two appended times."""
    output, _, times = stderr.rpartition(b"\n")
    try:
        begin, end = (float(word) for word in times.split())
    except ValueError:  # the shell was killed, or printed more than the agent keeps
        return stderr, 0
    return output, round((end - begin) * 1e9)

"""A QEMU monitor of our own, beside libvirt's. (QEMU, "QEMU Machine Protocol Specification")"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

MONITOR = "tonnage.monitor"  # QEMU's name for it
_DEADLINE_SECONDS = 30.0


class Listener:
    """Where a QEMU that is being started will call; a context manager that removes the socket.

    That QEMU calls us, and not we it, spares asking again and again whether it listens yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(1)

    def words(self) -> tuple[str, ...]:
        """What QEMU's command line needs to say for it to call."""
        path = str(self.path).replace(",", ",,")  # as QEMU's options have it
        chardev = f"socket,id={MONITOR},path={path}"
        return "-chardev", chardev, "-mon", f"chardev={MONITOR},mode=control"

    def accept(self) -> Monitor:
        """Wait until QEMU calls. Raises MachineError if it is given up meanwhile."""
        try:
            calling, _ = self._socket.accept()
        except OSError as error:
            raise MachineError("QEMU did not start.") from error
        return Monitor(calling)

    def give_up(self) -> None:
        """End the wait of another thread."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Monitor:
    """A connected monitor; a context manager that closes it."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.settimeout(_DEADLINE_SECONDS)
        self._answers = connected.makefile("rb")
        self._read()  # its greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """What the command returns. Raises MachineError with what QEMU says against it."""
        asked = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._socket.sendall(asked.encode() + b"\n")
        except OSError as error:
            raise MachineError(f"QEMU ended before {command}.") from error
        while True:
            said = self._read()
            if "return" in said:
                return said["return"]
            if "error" in said:
                raise MachineError(f"QEMU refused {command}: {said['error']['desc']}.")

    def say(self, line: str) -> str:
        """What QEMU's monitor for people answers to a line. Raises MachineError."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

    def await_migration(self) -> None:
        """Wait for the end of what migrates out or in. Raises MachineError if it fails."""
        while True:
            said = self._read()
            status = said["data"]["status"] if said.get("event") == "MIGRATION" else ""
            if status == "failed":
                raise MachineError("QEMU can't take the saved state: was it another QEMU's?")
            if status == "completed":
                return

    def _read(self) -> Any:
        try:
            line = self._answers.readline()
        except OSError as error:
            raise MachineError(
                f"QEMU said nothing on its monitor for {_DEADLINE_SECONDS:.0f} s."
            ) from error
        if not line:
            raise MachineError("QEMU ended as it started.")
        return json.loads(line)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._answers.close()
        self._socket.close()

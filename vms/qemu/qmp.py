"""Our own QEMU monitor, beside libvirt's. (QEMU, "QEMU Machine Protocol Specification")"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from vms.errors import MachineError, TimedOut, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

MONITOR_ID = "tonnage.monitor"
_DEADLINE_SECONDS = 30.0


class Listener:
    """A socket that a QEMU connects to as it starts; a context manager that removes the socket.

    Since QEMU connects to us, we need not poll until QEMU listens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(1)

    def qemu_arguments(self) -> tuple[str, ...]:
        """Return the arguments that make QEMU connect its monitor to this socket."""
        path = str(self.path).replace(",", ",,")  # QEMU's options escape a comma by a second comma
        chardev = f"socket,id={MONITOR_ID},path={path}"
        return "-chardev", chardev, "-mon", f"chardev={MONITOR_ID},mode=control"

    def accept(self) -> Monitor:
        """Wait until QEMU connects. Raise Unavailable if `give_up` ends the wait."""
        try:
            connection, _ = self._socket.accept()
        except OSError as error:
            raise Unavailable("QEMU did not start.") from error
        return Monitor(connection, self.path)

    def give_up(self) -> None:
        """End the wait of another thread."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)


class Monitor:
    """A connected monitor; a context manager that closes it.

    `path` is the socket that QEMU connected to, and connects to again when libvirt restarts it.
    """

    def __init__(self, connection: socket.socket, path: Path) -> None:
        self.path = path
        self._socket = connection
        self._socket.settimeout(_DEADLINE_SECONDS)
        self._replies = connection.makefile("rb")
        self._read()  # the greeting
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: object) -> Any:
        """Run a command and return its result. Raise MachineError with QEMU's reason on failure."""
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            self._socket.sendall(request.encode() + b"\n")
        except OSError as error:
            raise Unavailable(f"QEMU ended before the monitor command {command}.") from error
        while True:
            reply = self._read()
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise MachineError(
                    f"QEMU refused the monitor command {command}: {reply['error']['desc']}."
                )

    def human_command(self, line: str) -> str:
        """Run a line of the monitor for people (HMP) and return its output. Raise MachineError."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

    def await_migration(self) -> None:
        """Wait until an outgoing or incoming migration ends. Raise MachineError if it fails."""
        while True:
            reply = self._read()
            status = reply["data"]["status"] if reply.get("event") == "MIGRATION" else ""
            if status == "failed":
                raise MachineError(
                    "QEMU can't load the saved state: it may come from another version of QEMU."
                )
            if status == "completed":
                return

    def close(self) -> None:
        """Close the connection."""
        self._replies.close()
        self._socket.close()

    def _read(self) -> Any:
        try:
            line = self._replies.readline()
        except OSError as error:
            raise TimedOut(
                f"QEMU's monitor did not answer within {_DEADLINE_SECONDS:.0f} s."
            ) from error
        if not line:
            raise Unavailable("QEMU ended while it started.")
        return json.loads(line)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

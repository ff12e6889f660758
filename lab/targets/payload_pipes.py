"""Instances on the host's kernel, processes and containers, with the payload on two pipes."""

from __future__ import annotations

import os
import select
import socket
import time
from abc import abstractmethod
from typing import TYPE_CHECKING

from lab.errors import StartFailed, TargetFailed
from lab.network import namespace
from lab.targets import image_readiness
from lab.targets.base import CommandResult, Instance, read_answer
from vms.guest import payload_protocol
from vms.guest.payload_protocol import TCP_PORT

if TYPE_CHECKING:
    from lab.metrics import Milestone
    from lab.userland.application import Application

_ASK_SECONDS = 10.0


class PayloadPipes:
    """The payload's stdin and stdout, which carry events as lines and then the agent's frames.

    `stdin` and `stdout` are the payload's ends, which `hand_over` closes in this process.
    """

    def __init__(self) -> None:
        self.stdin, self._requests = os.pipe2(os.O_CLOEXEC)
        self._replies, self.stdout = os.pipe2(os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._replies, select.POLLIN)
        self._pending = b""
        self.is_closed = False

    def hand_over(self) -> None:
        """Close the payload's ends in this process, so that its exit closes the stream."""
        os.close(self.stdin)
        os.close(self.stdout)

    @property
    def descriptors(self) -> tuple[int, int]:
        """The ends of this process."""
        return self._requests, self._replies

    def close(self) -> None:
        """Close the ends of this process; the payload then exits, unless a keeper holds them."""
        if not self.is_closed:
            self.is_closed = True
            os.close(self._requests)
            os.close(self._replies)

    def line(self, deadline_ns: int) -> str:
        """Return the next line, without its end.

        Raise TimeoutError, or EOFError if the payload has exited.
        """
        while b"\n" not in self._pending:
            self._pending += self._some(deadline_ns)
        line, _, self._pending = self._pending.partition(b"\n")
        return line.decode(errors="replace")

    def request(self, argv: list[str], deadline_ns: int) -> CommandResult:
        """Run a command by the agent. Raise TimeoutError, or EOFError if the payload has exited."""
        os.write(self._requests, payload_protocol.encode_request(argv))
        result = payload_protocol.read_reply(lambda length: self._exactly(length, deadline_ns))
        return CommandResult(result.exit_code, result.stdout, result.stderr, result.elapsed_ns)

    def _exactly(self, length: int, deadline_ns: int) -> bytes:
        while len(self._pending) < length:
            self._pending += self._some(deadline_ns)
        data, self._pending = self._pending[:length], self._pending[length:]
        return data

    def _some(self, deadline_ns: int) -> bytes:
        left_ms = max(0, deadline_ns - time.monotonic_ns()) // 1_000_000
        if not self._poll.poll(left_ms):
            raise TimeoutError
        data = os.read(self._replies, 65536)
        if not data:
            raise EOFError
        return data


class PipeInstance(Instance):
    """A payload on pipes, with the host's clock; subclasses find its process and stop it."""

    def __init__(
        self,
        name: str,
        t0_ns: int,
        pipes: PayloadPipes,
        deadline_seconds: float,
        application: Application | None = None,
    ) -> None:
        self.name = name
        self.t0_ns = t0_ns
        self.pipes = pipes
        self._deadline_seconds = deadline_seconds
        self._events: dict[str, int] = {}
        self._application = application
        self._ready_ns = 0

    @abstractmethod
    def payload_pid(self) -> int:
        """Return the payload's pid on the host."""

    def reached(self, milestone: Milestone) -> int | None:
        """Return the time when the payload ran (by its own clock, the host's), or answered.

        A process or a container has no init system, and so no milestone `userspace`.
        An image's application is ready as lab.targets.image_readiness has it.
        """
        if milestone == "userspace":
            return None
        if milestone == "first-instruction":
            return self._event("first-instruction")
        self._event("listening")
        if not self._application:
            return self.ask()
        if not self._ready_ns:
            started_ns = self._event("started")
            self._ready_ns = image_readiness.await_ready(self, self._application, started_ns)
        return self._ready_ns

    def ask(self) -> int:
        """Send a request to the loopback address of the payload's network namespace.

        An image's application is asked instead, from inside. Return the time of the answer. Raise
        TargetFailed if it is not the payload's.
        """
        if self._application:
            return image_readiness.ask(self, self._application)
        with (
            namespace.enter_that_of(self.payload_pid()),
            socket.create_connection(("127.0.0.1", TCP_PORT), timeout=_ASK_SECONDS) as connection,
        ):
            return read_answer(connection, self.name)

    def cpus(self) -> frozenset[int]:
        """Return the worker's CPUs; containers of an engine's daemon would not inherit them."""
        return frozenset(os.sched_getaffinity(0))

    def request(self, words: list[str], what: str, timeout_seconds: float) -> CommandResult:
        """Send the request through the pipes."""
        self._event("listening")
        deadline_ns = time.monotonic_ns() + int(timeout_seconds * 1e9)
        try:
            return self.pipes.request(words, deadline_ns)
        except TimeoutError as error:
            raise TargetFailed(
                f"{what} in {self.name} did not end within {timeout_seconds:.0f} s."
            ) from error
        except (EOFError, BrokenPipeError) as error:
            raise TargetFailed(f"{self.name} ended while it ran {what}.") from error

    def _event(self, event: str) -> int:
        """Return the time of an event of the payload, by its clock; store events before it."""
        deadline_ns = self.t0_ns + int(self._deadline_seconds * 1e9)
        try:
            while event not in self._events:
                name, _, ns = self.pipes.line(deadline_ns).partition(" ")
                self._events[name] = int(ns)
                if name == "not-listening":
                    raise StartFailed(
                        f"{self.name} can't answer requests: another program listens on port"
                        f" {TCP_PORT} of its network (ss -ltnp shows which). Stop it, or leave the"
                        " target out."
                    )
        except TimeoutError as error:
            raise StartFailed(
                f"{self.name} did not reach {event} within {self._deadline_seconds:.0f} s."
            ) from error
        except EOFError as error:
            raise StartFailed(f"{self.name} ended before it reached {event}.") from error
        except ValueError as error:
            raise StartFailed(
                f"{self.name} printed a line that is not the payload's: {error}."
            ) from error
        return self._events[event]

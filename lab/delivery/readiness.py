"""When a delivered image's payload is ready: an instance is started, and stopped again.

The payload prints the time at which it listens, by the host's clock; a container of any tool shares
that clock.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING

import runtime
from lab.delivery.tools import Ours
from lab.errors import StartFailed
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.payload_pipes import PayloadPipes
from lab.targets.programs import end, last_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.delivery.tools import Tool

_START_SECONDS = 120.0
_STOP_SECONDS = 20.0


def ready_ns(tool: Tool, image: str, states: Path) -> int:
    """Start the image, and return the time at which its payload listened. Raise StartFailed.

    `states` is the directory for the state of our own containers.
    """
    if isinstance(tool, Ours):
        return of_layers(tool.layers(image), tool.family, states)
    return of_command(tool.name, tool.run_words(image))


def of_layers(layers: Sequence[Path], identity: str, states: Path) -> int:
    """Start a container of our runtime on unpacked layers; see `ready_ns`."""
    spec = runtime.default_spec(args=[PAYLOAD_IN_TREE, "serve", identity])
    pipes = PayloadPipes()
    try:
        container = runtime.Container.run(
            identity, spec, layers=layers, stdin=pipes.stdin, stdout=pipes.stdout, root=states
        )
    except runtime.ContainerError as error:
        pipes.hand_over()
        pipes.close()
        raise StartFailed(f"A container of the image did not start: {error}") from error
    pipes.hand_over()
    try:
        return _listening_ns(pipes, "container")
    finally:
        container.kill(signal.SIGKILL)
        container.wait(_STOP_SECONDS)
        container.delete()
        pipes.close()


def of_command(name: str, words: Sequence[str]) -> int:
    """Run a command that runs the payload on its pipes; see `ready_ns`."""
    pipes = PayloadPipes()
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                words, stdin=pipes.stdin, stdout=pipes.stdout, stderr=stderr, process_group=0
            )
        except OSError as error:
            pipes.close()
            raise StartFailed(f"Can't run {words[0]}: {error.strerror}.") from error
        finally:
            pipes.hand_over()
        try:
            return _listening_ns(pipes, name)
        except StartFailed as failure:
            pipes.close()
            end(process, _STOP_SECONDS)
            stderr.seek(0)
            if reason := last_words(stderr.read()):
                raise StartFailed(f"The image did not start in {name}: {reason}") from failure
            raise
        finally:
            pipes.close()  # the payload exits at the end of its stdin
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                end(process, _STOP_SECONDS)


def _listening_ns(pipes: PayloadPipes, name: str) -> int:
    """Return the time at which the payload listened, by its own clock."""
    deadline_ns = time.monotonic_ns() + int(_START_SECONDS * 1e9)
    try:
        while True:
            event, _, ns = pipes.line(deadline_ns).partition(" ")
            if event == "listening":
                return int(ns)
    except TimeoutError as error:
        raise StartFailed(f"The image did not listen in {name}: it hung.") from error
    except EOFError as error:
        raise StartFailed(f"The image ended in {name} before it listened.") from error
    except ValueError as error:
        raise StartFailed(f"The image printed another line than the payload: {error}.") from error

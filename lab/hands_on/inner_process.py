"""A process that a notebook turns into a container step by step, and the cell magic `%%inside`."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lab.errors import TargetFailed
from lab.host import processes

if TYPE_CHECKING:
    from typing import Self

_END_NS = 10_000_000_000


class InnerProcess:
    """A child that executes source text; a context manager that ends it.

    It also ends with the thread that created it, whatever ends that.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lab.hands_on.inner_program", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # an interrupt of the notebook is not for it
        )

    @property
    def pid(self) -> int:
        """Its pid outside: after a fork that of the child, which carries on."""
        pid = self._process.pid
        while children := [each for each in processes.all_pids() if _parent(each) == pid]:
            pid = children[0]
        return pid

    def run(self, source: str) -> Any:
        """Execute source text in it, print what it prints, and return its last expression's value.

        Raise TargetFailed, with the error's text, if the text raises one.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        line = ""
        try:
            if not stdin.closed:
                stdin.write(json.dumps({"source": source}) + "\n")
                stdin.flush()
                line = stdout.readline()
        except BrokenPipeError:
            pass  # it has ended
        except KeyboardInterrupt:
            self.close()  # a late reply would be taken for that of the next cell
            raise
        if not line:
            self.close()
            raise TargetFailed("The inner process has ended: run the notebook again from its top.")
        reply = json.loads(line)
        print(reply["output"], end="")
        if reply["error"]:
            raise TargetFailed(f"inside: {reply['error']}")
        return _literal(reply["value"])

    def both(self, expression: str) -> None:
        """Print the value of an expression outside and inside."""
        names = {"os": os, **_notebook_names()}
        print(f"outside  {eval(expression, names)}")
        print(f"inside   {self.run(expression)}")

    def close(self) -> None:
        """End it, and with it all processes of its pid namespace."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError), processes.handle_of(self.pid) as latest:
                self._process.kill()
                processes.ended(latest, time.monotonic_ns() + _END_NS)
            self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def define_magic(process: InnerProcess) -> None:
    """Make `%%inside` run a cell in the process."""
    from IPython import get_ipython

    def inside(_: str, cell: str) -> Any:
        return process.run(cell)

    get_ipython().register_magic_function(inside, "cell", "inside")


def _literal(text: str | None) -> Any:
    """Return the value that a text represents, or the text if it is none that can be read."""
    if text is None:
        return None
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _notebook_names() -> dict[str, Any]:
    from IPython import get_ipython

    shell = get_ipython()
    return dict(shell.user_ns) if shell else {}


def _parent(pid: int) -> int:
    try:
        return processes.parent(pid)
    except OSError:
        return 0

"""The process that `%%inside` cells run in: it executes source text that it is sent over a pipe.

It has one thread, because a process with several can't be moved into a user, mount or time
namespace (unshare(2), EINVAL); a notebook's kernel has several. It ends with the notebook's kernel.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import signal
import sys
from typing import Any

from lab.host.processes import end_with_parent
from runtime.linux import prctl


def fork() -> None:
    """Continue in a child; the process before waits, and ends with it.

    A new pid or time namespace has no process until one is born in it. (pid_namespaces(7))
    """
    parent = os.getpid()
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    with contextlib.suppress(OSError):
        prctl.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() not in {parent, 0}:  # 0: the parent is in another pid namespace
        os._exit(1)


def main() -> None:
    """Execute requests until the pipe is closed."""
    end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    requests, replies = os.fdopen(0, encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    namespace: dict[str, Any] = {"__name__": "__inside__", "os": os, "fork": fork}
    # readline, because iteration would read ahead, and a fork would copy what was read.
    while request := requests.readline():
        replies.write(json.dumps(_execute(json.loads(request), namespace)) + "\n")
        replies.flush()


def _execute(request: dict[str, str], namespace: dict[str, Any]) -> dict[str, Any]:
    output = io.StringIO()
    reply: dict[str, Any] = {"value": None, "error": ""}
    try:
        with contextlib.redirect_stdout(output):
            tree = ast.parse(request["source"])
            *_, last = tree.body or [ast.Pass()]
            if isinstance(last, ast.Expr):
                tree.body.pop()
            exec(compile(tree, "<inside>", "exec"), namespace)
            if isinstance(last, ast.Expr):
                value = compile(ast.Expression(last.value), "<inside>", "eval")
                reply["value"] = repr(eval(value, namespace))
    except Exception as error:
        line = error.__traceback__ and error.__traceback__.tb_next
        where = f" (line {line.tb_lineno} of the cell)" if line else ""
        reply["error"] = f"{type(error).__name__}: {error}{where}"
    return {**reply, "output": output.getvalue()}


if __name__ == "__main__":
    main()

"""The environment of a process. (OCI config.md, "POSIX process")"""

from __future__ import annotations

from runtime.linux.users import home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.spec.config import Process


def with_environment(process: Process, passwd: Callable[[], bytes | None]) -> Process:
    """Return the process with each variable set once, to the last value given.

    An empty or missing HOME is set to the user's home. `passwd` returns the content of the
    container's /etc/passwd, or None.
    """
    by_name = {variable.partition("=")[0]: variable for variable in process.env}
    if by_name.get("HOME", "HOME=") == "HOME=":
        by_name["HOME"] = f"HOME={home(passwd(), process.user.uid)}"
    elif len(by_name) == len(process.env):
        return process
    return process.replace(env=tuple(by_name.values()))

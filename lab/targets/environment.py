"""The environment in which every command runs, whatever the target and the user's shell.

The payload sets it up for each command, in processes, containers and machines alike. So a command
inherits nothing from the shell, an engine's daemon or a guest's init: variables, directory, umask,
priority, limits, signal handlers. Each command has a session of its own, and the processes that it
leaves are killed. The remaining differences are those between the targets.
"""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from vms.guest.payload_protocol import WITHIN

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


# Variables of the caller that a worker's tools need to find programs, caches and daemons.
_OF_THE_CALLER = (
    "PATH",
    "PYTHONPATH",
    "PYTHONDONTWRITEBYTECODE",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "DOCKER_HOST",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
)
_OURS = "TONNAGE_"


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment variables of a command, and its other inherited attributes.

    `limits` are both soft and hard limits (getrlimit(2)). They are not higher than those of any
    tool or guest, since limits can be lowered everywhere, but raised only with CAP_SYS_RESOURCE.
    """

    variables: Mapping[str, str] = field(
        default_factory=lambda: {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",
        }
    )
    directory: str = "/"
    umask: int = 0o022
    nice: int = 0
    limits: Mapping[str, int] = field(
        default_factory=lambda: {"nofile": 1024, "nproc": 1024, "stack": 8 << 20, "core": 0}
    )

    def document(self) -> dict[str, object]:
        """Return the environment for run.json, with the CPUs that processes and containers use."""
        return {
            **asdict(self),
            "umask": f"{self.umask:04o}",
            "cpus": sorted(os.sched_getaffinity(0)),
        }

    def within(
        self, argv: Sequence[str], *, keep_children: bool = False, cpus: Collection[int] = ()
    ) -> list[str]:
        """Return the request to the payload that runs a command in this environment.

        Processes that the command leaves are killed, unless `keep_children` is set. `cpus` are the
        CPUs that the command may use; all, if it is empty.
        """
        words = {
            **self.variables,
            **{name: str(limit) for name, limit in self.limits.items()},
            "directory": self.directory,
            "umask": f"{self.umask:o}",
            "nice": str(self.nice),
        }
        if cpus:
            words["cpus"] = ",".join(map(str, sorted(cpus)))
        settings = [f"{name}={value}" for name, value in words.items()]
        return [WITHIN, "leave" if keep_children else "end", *settings, "--", *argv]


DECLARED = Environment()


def of_worker(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of a worker, which its tools, daemons and VMMs inherit."""
    passed_on = {
        name: value
        for name, value in caller.items()
        if name in _OF_THE_CALLER or name.startswith(_OURS)
    }
    return {**DECLARED.variables, **passed_on}


def enter() -> None:
    """Apply the declared environment to this process, a worker, as far as it is permitted.

    The worker's own limits are raised as far as possible: it holds descriptors of thousands of
    instances.
    """
    os.umask(DECLARED.umask)
    for change in (_raise_limits, _reset_priority, _reset_signals):
        change()


def _raise_limits() -> None:
    """Raise all soft limits to the hard ones, except the stack's, which affects memory layout."""
    names = {name for name in dir(resource) if name.startswith("RLIMIT_")}
    for which in {getattr(resource, name) for name in names}:
        _, most = resource.getrlimit(which)
        soft = most
        if which == resource.RLIMIT_STACK:
            declared = DECLARED.limits["stack"]
            soft = declared if most == resource.RLIM_INFINITY else min(most, declared)
        resource.setrlimit(which, (soft, most))


def _reset_priority() -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, 0, DECLARED.nice)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        return  # without CAP_SYS_NICE; the payload reports it where it matters


def _reset_signals() -> None:
    """Reset signals that the caller ignores (nohup(1)) or blocks, since programs inherit both."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)

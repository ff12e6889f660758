"""The surroundings in which every command runs, whatever the target and whoever starts the run.

The payload puts a command into them, in a process, a container and a machine alike, so that none
inherits what its caller, an engine's daemon or a guest's init happens to have: variables,
directory, umask, priority, limits, handlers of signals. A command has a session of its own, and
what it leaves behind is ended with it. What differs between targets is then what they are.
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


# What a worker's tools need of the caller's environment: where programs, caches and daemons are.
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
    """What a command finds: its whole environment, and what else is inherited.

    `limits` are soft and hard ones (getrlimit(2)): no more than any tool or guest gives, since they
    can be lowered everywhere, and raised only with CAP_SYS_RESOURCE.
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
        """Return it as run.json has it, with the host's CPUs that processes and containers use."""
        return {
            **asdict(self),
            "umask": f"{self.umask:04o}",
            "cpus": sorted(os.sched_getaffinity(0)),
        }

    def within(
        self, argv: Sequence[str], *, leaving: bool = False, cpus: Collection[int] = ()
    ) -> list[str]:
        """Return the request by which the payload runs a command in these surroundings.

        What the command leaves behind is ended, unless it is `leaving` something on purpose.
        `cpus` are the only ones that it may use; without them all.
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
        return [WITHIN, "leave" if leaving else "end", *settings, "--", *argv]


DECLARED = Environment()


def of_worker(caller: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker, and so of the tools, daemons and machines it starts."""
    kept = {
        name: value
        for name, value in caller.items()
        if name in _OF_THE_CALLER or name.startswith(_OURS)
    }
    return {**DECLARED.variables, **kept}


def enter() -> None:
    """Put this process, a worker, into the declared surroundings, as far as it has the right to.

    Its own limits stay as high as they can be: it holds descriptors of thousands of instances.
    """
    os.umask(DECLARED.umask)
    for change in (_raise_limits, _reset_priority, _reset_signals):
        change()


def _raise_limits() -> None:
    """Raise soft limits to the hard ones, but for the stack's, by which programs are laid out."""
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
        return  # without CAP_SYS_NICE: the payload says so where it matters


def _reset_signals() -> None:
    """Undo what a caller ignored for itself (nohup(1)) and blocked, which programs inherit."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)

"""`tonnage-oci`: the command line that podman, docker and containerd call.

It takes what runc and crun take. A verb's module is imported when it is called: the start of a
container waits for each import.
"""

from __future__ import annotations

import _signal
import os
import sys

from runtime.errors import ContainerError
from runtime.launcher.descriptors import fill_streams
from runtime.oci.arguments import SWITCH, VALUE, parse
from runtime.oci.module_image import import_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options

# verb: (module below runtime.oci.commands, what it is for)
VERBS = {
    "create": ("create", "make a container that waits to be started"),
    "start": ("start", "run the program of a container that was created"),
    "run": ("run", "create a container and start it"),
    "exec": ("exec", "run one more process in a container"),
    "state": ("state", "print a container's state"),
    "list": ("list", "print the containers"),
    "ps": ("ps", "print a container's processes"),
    "kill": ("kill", "send a container a signal"),
    "delete": ("delete", "remove a container"),
    "pause": ("pause", "stop all processes of a container"),
    "resume": ("pause", "let them go on"),
    "update": ("update", "change a container's limits"),
    "events": ("events", "print what a container uses, and when it is out of memory"),
    "spec": ("spec", "write a configuration to begin with"),
    "features": ("features", "print what this runtime can do"),
    "checkpoint": ("checkpoint", "write a running container to files"),
    "restore": ("restore", "run a container from files"),
}
_OPTIONS = {
    "--root": VALUE,
    "--log": VALUE,
    "--log-format": VALUE,
    "--log-level": VALUE,
    "--debug": SWITCH,
    "--systemd-cgroup": SWITCH,
    "--cgroup-manager": VALUE,
    "--rootless": VALUE,
    "--criu": VALUE,
    "--help": SWITCH,
    "--version": SWITCH,
}
_SHORT = {"-h": "--help", "-v": "--version"}


class Settings:
    """What is said before the verb."""

    def __init__(self, options: Options) -> None:
        self.root = options.value("--root") or default_root()
        self.log_path = options.value("--log")
        self.log_format = options.value("--log-format", "text")
        self.criu = options.value("--criu")
        self.rootless = options.value("--rootless", "auto")
        if self.rootless not in {"auto", "true", "false"}:
            raise ContainerError(f"--rootless takes true, false or auto, not {self.rootless!r}.")
        self.debug = options.has("--debug")
        self.cgroup_manager = options.value("--cgroup-manager", "cgroupfs")
        if options.has("--systemd-cgroup"):
            self.cgroup_manager = "systemd"

    def warn(self, sentence: str) -> None:
        """Tell of what was left out."""
        self._log("warning", sentence)
        if not self.log_path:
            _say(sentence)

    def fail(self, sentence: str) -> None:
        """Tell of what failed."""
        self._log("error", sentence)
        _say(sentence)

    def _log(self, level: str, sentence: str) -> None:
        if not self.log_path:
            return
        from time import gmtime, strftime

        from runtime.spec.json_structs import encode

        now = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
        line = encode({"level": level, "msg": sentence, "time": now})
        if self.log_format != "json":
            line = f'time="{now}" level={level} msg={encode(sentence)}'
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            log = os.open(self.log_path, flags, 0o644)
        except OSError:
            return  # it has been said on stderr
        _write(log, line)
        os.close(log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one verb; its exit code."""
    fill_streams()  # before anything is opened
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # who ignores it can wait for no child
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = Settings(parse([], _OPTIONS, _SHORT, mixed=False))
    try:
        options = parse(words, _OPTIONS, _SHORT, mixed=False)
        settings = Settings(options)
        return _printed(_carry_out(options, settings))
    except ContainerError as error:
        settings.fail(str(error))
        failure: Exception = error
    except PermissionError as error:
        settings.fail(f"{error.filename or 'This'}: permission denied; run it as root.")
        failure = error
    except OSError as error:
        settings.fail(f"{error.filename or 'A call of the kernel'}: {error.strerror or error}.")
        failure = error
    if settings.debug:
        import traceback

        traceback.print_exception(failure)
    return 1


def _printed(code: int) -> int:
    """Return the exit code, once all that is to be printed has been. Raise ContainerError."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        raise ContainerError(f"stdout can't be written to: {error.strerror}.") from error
    return code


def _say(sentence: str) -> None:
    _write(2, f"tonnage-oci: {sentence}")


def _write(descriptor: int, line: str) -> None:
    """Write a line, in which a path may be no UTF-8, to where it may be that nobody reads."""
    try:
        os.write(descriptor, line.encode(errors="backslashreplace") + b"\n")
    except OSError:
        return


def _carry_out(options: Options, settings: Settings) -> int:
    if options.has("--version"):
        return _print_version()
    if options.has("--help") or not options.words or options.words[0] == "help":
        return _print_help()
    verb, *rest = options.words
    if verb not in VERBS:
        raise ContainerError(f"There is no command {verb!r}; `tonnage-oci --help` tells which are.")
    if rest[:1] in (["--help"], ["-h"]):
        print(f"usage: tonnage-oci {verb} [OPTION …] [CONTAINER …]\n\n{VERBS[verb][1]}")
        return 0
    module = import_verb(VERBS[verb][0])
    code: int = module.main(verb, rest, settings)
    return code


def default_root() -> str:
    """Where containers are kept: /run for root, the user's own place for others."""
    if own := os.environ.get("XDG_RUNTIME_DIR", ""):
        from runtime.linux.users import is_rootless

        if is_rootless():
            return f"{own}/tonnage-oci"
    return "/run/tonnage-oci"


def _print_version() -> int:
    from runtime.version import SPECIFICATION, version

    print(f"tonnage-oci version {version()}\nspec: {SPECIFICATION}")
    return 0


def _print_help() -> int:
    print("usage: tonnage-oci [OPTION …] COMMAND [OPTION …] [CONTAINER …]\n")
    print("An OCI runtime. Its options and commands are runc's and crun's.\n")
    for verb, (_, purpose) in VERBS.items():
        print(f"  {verb:12}{purpose}")
    print(f"\noptions: {' '.join(_OPTIONS)}")
    return 0

"""`tonnage-oci`: the command line that podman, docker and containerd call.

It accepts the commands and options of runc and crun. Each command's module is imported when the
command is called, since every import delays the start of a container.
"""

from __future__ import annotations

import _signal
import os
import sys

from runtime.errors import ContainerError, InvalidConfig
from runtime.launcher.descriptors import fill_streams
from runtime.oci.arguments import SWITCH, VALUE, parse
from runtime.oci.module_image import import_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.oci.arguments import Options

# Command: (module below runtime.oci.commands, purpose)
VERBS = {
    "create": ("create", "create a container, which waits for `start`"),
    "start": ("start", "start the program of a created container"),
    "run": ("run", "create and start a container"),
    "exec": ("exec", "run another process in a container"),
    "state": ("state", "print the state of a container"),
    "list": ("list", "list the containers"),
    "ps": ("ps", "list the processes of a container"),
    "kill": ("kill", "send a signal to a container"),
    "delete": ("delete", "delete a container"),
    "pause": ("pause", "pause all processes of a container"),
    "resume": ("pause", "resume all processes of a container"),
    "update": ("update", "change the resource limits of a container"),
    "events": ("events", "print the resource usage and the OOM events of a container"),
    "spec": ("spec", "write a default config.json"),
    "features": ("features", "print the features of this runtime"),
    "checkpoint": ("checkpoint", "write the state of a running container to files"),
    "restore": ("restore", "restore a container from a checkpoint"),
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
    """The options before the command."""

    def __init__(self, options: Options) -> None:
        self.root = options.value("--root") or default_root()
        self.log_path = options.value("--log")
        self.log_format = options.value("--log-format", "text")
        self.criu = options.value("--criu")
        self.rootless = options.value("--rootless", "auto")
        if self.rootless not in {"auto", "true", "false"}:
            raise InvalidConfig(f"--rootless must be true, false or auto, not {self.rootless!r}.")
        self.debug = options.has("--debug")
        self.cgroup_manager = options.value("--cgroup-manager", "cgroupfs")
        if options.has("--systemd-cgroup"):
            self.cgroup_manager = "systemd"

    def warn(self, sentence: str) -> None:
        """Log a warning, to stderr if there is no log file."""
        self._log("warning", sentence)
        if not self.log_path:
            _say(sentence)

    def fail(self, sentence: str) -> None:
        """Log an error, and print it to stderr."""
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
            return  # stderr has the message
        _write(log, line)
        os.close(log)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    fill_streams()  # before any other descriptor is opened
    # A process that ignores SIGCHLD can't wait for children.
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    words = list(sys.argv[1:] if arguments is None else arguments)
    settings = Settings(parse([], _OPTIONS, _SHORT, mixed=False))
    try:
        options = parse(words, _OPTIONS, _SHORT, mixed=False)
        settings = Settings(options)
        return _flushed(_run(options, settings))
    except ContainerError as error:
        settings.fail(str(error))
        failure: Exception = error
    except PermissionError as error:
        settings.fail(f"{error.filename or 'The operation'}: permission denied: run it as root.")
        failure = error
    except OSError as error:
        settings.fail(f"{error.filename or 'A system call'}: {error.strerror or error}.")
        failure = error
    if settings.debug:
        import traceback

        traceback.print_exception(failure)
    return 1


def _flushed(code: int) -> int:
    """Flush stdout and return the exit code. Raise ContainerError."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        raise ContainerError(f"Can't write to stdout: {error.strerror}.") from error
    return code


def _say(sentence: str) -> None:
    _write(2, f"tonnage-oci: {sentence}")


def _write(descriptor: int, line: str) -> None:
    """Write a line, in which a path need not be UTF-8; ignore errors, such as a closed pipe."""
    try:
        os.write(descriptor, line.encode(errors="backslashreplace") + b"\n")
    except OSError:
        return


def _run(options: Options, settings: Settings) -> int:
    if options.has("--version"):
        return _print_version()
    if options.has("--help") or not options.words or options.words[0] == "help":
        return _print_help()
    verb, *rest = options.words
    if verb not in VERBS:
        raise InvalidConfig(f"There is no command {verb!r}: see `tonnage-oci --help`.")
    if rest[:1] in (["--help"], ["-h"]):
        print(f"usage: tonnage-oci {verb} [OPTION …] [CONTAINER …]\n\n{VERBS[verb][1]}")
        return 0
    module = import_verb(VERBS[verb][0])
    code: int = module.main(verb, rest, settings)
    return code


def default_root() -> str:
    """Return the directory of containers, which is in XDG_RUNTIME_DIR for other users than root."""
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
    print("An OCI runtime with the commands and options of runc and crun.\n")
    for verb, (_, purpose) in VERBS.items():
        print(f"  {verb:12}{purpose}")
    print(f"\noptions: {' '.join(_OPTIONS)}")
    return 0

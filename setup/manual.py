"""Manual pages and completion scripts, generated from the parsers of `tonnage` and `tonnage-oci`.

    python setup/manual.py man build/man
    python setup/manual.py completion build/completion

`tonnage-oci` parses its options itself, since importing argparse takes longer than starting a
container; its option tables are read here by a stand-in for its parse function.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SEE_ALSO = {
    "tonnage": "tonnage-image(1), tonnage-vm(1), tonnage-oci(8)",
    "tonnage image": "tonnage(1), docker(1), podman(1)",
    "tonnage vm": "tonnage(1), virsh(1)",
    "tonnage-oci": "tonnage(1), runc(8), crun(1)",
}
_PATHS = ("FILE", "PATH", "DIR", "DIRECTORY", "RUN", "PROGRAM")
_WITHOUT_OPTIONS = {"features"}
# By command of tonnage-oci: its operands, unless it takes one container.
_OPERANDS = {
    "exec": "CONTAINER [COMMAND …]",
    "kill": "CONTAINER [SIGNAL]",
    "ps": "CONTAINER [OPTION OF PS …]",
    "list": "",
    "features": "",
    "spec": "",
}
# The metavar and the explanation of tonnage-oci's options, which are the same for every command.
OCI_OPTIONS = {
    "--additional-gids": ("GID", "add a supplementary group"),
    "--all": ("", "send the signal to all processes of the container"),
    "--apparmor": ("PROFILE", "the AppArmor profile of the process"),
    "--auto-dedup": ("", "remove duplicate memory from the images (criu)"),
    "--blkio-weight": ("WEIGHT", "the weight of block I/O, 10 to 1000"),
    "--bundle": ("DIR", "the bundle's directory; default: the working directory"),
    "--cap": ("CAPABILITY", "add a capability"),
    "--cgroup": ("PATH", "run the process in this cgroup below the container's"),
    "--cgroup-manager": ("MANAGER", "cgroupfs (the default), systemd or disabled"),
    "--config": ("FILE", "the configuration's file; default: config.json in the bundle"),
    "--console-socket": ("PATH", "the socket that receives the terminal's descriptor"),
    "--cpu-burst": ("MICROSECONDS", "CPU time that may be saved up beyond the quota"),
    "--cpu-idle": ("0|1", "run only if other cgroups are idle"),
    "--cpu-period": ("MICROSECONDS", "the period of the CPU quota"),
    "--cpu-quota": ("MICROSECONDS", "CPU time in each period"),
    "--cpu-rt-period": ("MICROSECONDS", "the period of real-time scheduling"),
    "--cpu-rt-runtime": ("MICROSECONDS", "real-time CPU time in each period"),
    "--cpu-share": ("SHARES", "the relative weight of CPU time"),
    "--cpu-shares": ("SHARES", "the relative weight of CPU time"),
    "--cpuset-cpus": ("LIST", "the CPUs that may be used, such as 0-2,4"),
    "--cpuset-mems": ("LIST", "the memory nodes that may be used"),
    "--criu": ("PROGRAM", "the criu program; default: criu on the PATH"),
    "--cwd": ("DIR", "the working directory of the process"),
    "--debug": ("", "print a traceback after an error"),
    "--detach": ("", "return once the process has started"),
    "--env": ("NAME=VALUE", "set an environment variable"),
    "--ext-unix-sk": ("", "allow external UNIX sockets (criu)"),
    "--file-locks": ("", "handle file locks (criu)"),
    "--force": ("", "kill the container's processes first, and accept a missing container"),
    "--format": ("FORMAT", "table or json"),
    "--help": ("", "print a short help and exit"),
    "--ignore-paused": ("", "run the process even if the container is paused"),
    "--image-path": ("DIR", "the directory of the image files; default: checkpoint"),
    "--interval": ("DURATION", "time between two events, such as 5s"),
    "--keep": ("", "do not delete the container when its process ends"),
    "--kernel-memory": ("BYTES", "the limit of kernel memory (cgroup version 1)"),
    "--kernel-memory-tcp": ("BYTES", "the limit of kernel memory for TCP (cgroup version 1)"),
    "--leave-running": ("", "let the container continue after the checkpoint"),
    "--link-remap": ("", "allow deleted files that have another link (criu)"),
    "--log": ("FILE", "append errors and warnings to this file"),
    "--log-format": ("FORMAT", "text (the default) or json"),
    "--log-level": ("LEVEL", "accepted and ignored"),
    "--manage-cgroups-mode": ("MODE", "how criu handles cgroups: soft, full, strict or ignore"),
    "--memory": ("BYTES", "the limit of memory"),
    "--memory-reservation": ("BYTES", "memory that reclaim leaves alone"),
    "--memory-swap": ("BYTES", "the limit of memory and swap together"),
    "--no-new-keyring": ("", "keep the session keyring of the caller"),
    "--no-new-privs": ("", "set no_new_privs"),
    "--no-pivot": ("", "change the root without pivot_root(2)"),
    "--no-subreaper": ("", "accepted for compatibility with runc"),
    "--parent-path": ("DIR", "the directory of the previous pre-dump, relative to --image-path"),
    "--pid-file": ("FILE", "write the process id to this file"),
    "--pidfd-socket": ("PATH", "the socket that receives a pidfd of the process"),
    "--pids-limit": ("NUMBER", "the limit of processes"),
    "--pre-dump": ("", "write the memory only, and let the container continue"),
    "--preserve-fds": ("NUMBER", "pass on so many descriptors from 3 on"),
    "--process": ("FILE", "a JSON file with the process to run"),
    "--process-label": ("LABEL", "the SELinux label of the process"),
    "--quiet": ("", "print the ids alone"),
    "--resources": ("FILE", "a JSON file with linux.resources; - is standard input"),
    "--root": ("DIR", "the directory of the containers' state; default: /run/tonnage-oci"),
    "--rootless": ("MODE", "true, false or auto (the default): go without a cgroup if need be"),
    "--shell-job": ("", "allow a container with a terminal of the caller (criu)"),
    "--stats": ("", "print the statistics once and exit"),
    "--systemd-cgroup": ("", "let systemd create the cgroups"),
    "--tcp-established": ("", "allow open TCP connections (criu)"),
    "--tcp-skip-in-flight": ("", "leave out TCP connections that are being opened (criu)"),
    "--tty": ("", "give the process a terminal"),
    "--user": ("UID[:GID]", "the user and group of the process"),
    "--version": ("", "print the version and exit"),
    "--work-path": ("DIR", "the directory of criu's log and statistics"),
}


class _OptionTables(BaseException):
    """Raised in place of parsing: carries the options of a command and their short names."""

    def __init__(self, options: Mapping[str, str], short: Mapping[str, str]) -> None:
        super().__init__()
        self.options, self.short = options, short


def _raise_tables(
    _words: object, options: Mapping[str, str], short: Mapping[str, str], **_: object
) -> None:
    raise _OptionTables(options, short)


@contextmanager
def _raising_tables() -> Iterator[None]:
    """Stand in for the parse function of each module, until the block ends."""
    from runtime.oci import arguments

    parse = arguments.parse
    loaded = [module for name, module in sys.modules.items() if name.startswith("runtime.oci.")]
    parsing = [module for module in loaded if getattr(module, "parse", None) is parse]
    for module in parsing:
        vars(module)["parse"] = _raise_tables
    try:
        yield
    finally:
        for module in parsing:
            vars(module)["parse"] = parse


def lab_parser() -> argparse.ArgumentParser:
    """Return the parser of `tonnage`."""
    from lab.cli import parser

    return parser.build()


def oci_parser() -> argparse.ArgumentParser:
    """Return an argparse parser with the commands and options of `tonnage-oci`."""
    from runtime.oci import cli

    modules = {
        verb: importlib.import_module(f"runtime.oci.commands.{module}")
        for verb, (module, _) in cli.VERBS.items()
    }
    parser = argparse.ArgumentParser(
        prog="tonnage-oci",
        description="Run containers. The commands and options are those of runc and crun.",
        add_help=False,
    )
    with _raising_tables():
        _add_options(parser, lambda: cli.main([]))
        below = parser.add_subparsers(metavar="COMMAND")
        for verb, (_, purpose) in cli.VERBS.items():
            usage = f"tonnage-oci {verb} [OPTION …] {_OPERANDS.get(verb, 'CONTAINER')}".rstrip()
            command = below.add_parser(verb, help=purpose, usage=usage, add_help=False)
            if verb not in _WITHOUT_OPTIONS:
                _add_options(command, partial(modules[verb].main, verb, [], None))
    return parser


def _add_options(parser: argparse.ArgumentParser, parse: Callable[[], object]) -> None:
    """Add the options whose tables the function raises."""
    from runtime.oci.arguments import SWITCH, VALUES

    try:
        parse()
    except _OptionTables as raised:
        tables = raised
    short = {long: name for name, long in tables.short.items()}
    for name, kind in tables.options.items():
        names = [short[name], name] if name in short else [name]
        metavar, explanation = OCI_OPTIONS[name]
        if kind == SWITCH:
            parser.add_argument(*names, action="store_true", help=explanation)
        else:
            action = "append" if kind == VALUES else "store"
            parser.add_argument(*names, action=action, metavar=metavar, help=explanation)


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a program's commands, by name."""
    for action in parser._actions:  # argparse has no public access to subparsers
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def purposes(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the line of help of each command, by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {each.dest: each.help or "" for each in action._choices_actions}
    return {}


def _roff(text: str) -> str:
    """Return text in which no character is a roff request. (groff(7))"""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", escaped)


@dataclass(frozen=True)
class Option:
    """An option, or an operand, which has no names."""

    names: tuple[str, ...]
    value: str
    explanation: str


def options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    """Yield the options and operands of a command that its help explains."""
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or isinstance(action, argparse._SubParsersAction):
            continue
        if not action.option_strings and not action.help:
            continue  # the synopsis names it
        value = ""
        if action.nargs != 0:
            metavar = action.metavar or (
                "{" + ",".join(map(str, action.choices)) + "}"
                if action.choices
                else action.dest.upper()
            )
            value = metavar if isinstance(metavar, str) else " ".join(metavar)
        try:
            explanation = (action.help or "") % {**vars(action), "prog": parser.prog}
        except (KeyError, TypeError, ValueError):
            explanation = action.help or ""
        yield Option(tuple(action.option_strings), value, explanation)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for option in options(parser):
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in option.names)
        yield ".TP"
        yield f"{names} \\fI{_roff(option.value)}\\fR".strip() if option.value else names
        yield _roff(option.explanation) or "\\&"


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return _roff(usage)


def page(parser: argparse.ArgumentParser, section: int, separate: tuple[str, ...] = ()) -> str:
    """Return the manual page of a program; commands in `separate` have pages of their own."""
    name = parser.prog.replace(" ", "-")
    purpose = (parser.description or "").partition(". ")[0].strip().rstrip(".")
    lines = [
        f'.TH "{_roff(name.upper())}" {section}',
        ".SH NAME",
        f"{_roff(name)} \\- {_roff(purpose[:1].lower() + purpose[1:])}",
        ".SH SYNOPSIS",
        _usage(parser),
        ".SH DESCRIPTION",
        _roff(parser.description or ""),
    ]
    if listed := list(_options(parser)):
        lines += [".SH OPTIONS", *listed]
    purpose_of = purposes(parser)
    if listing := commands(parser):
        lines.append(".SH COMMANDS")
    for command, below in listing.items():
        lines += [f".SS {_roff(command)}", _roff(purpose_of.get(command, ""))]
        if command in separate:
            lines.append(f".br\nSee {_roff(f'{name}-{command}')}({section}).")
        else:
            lines += [".PP", _usage(below), *_options(below)]
    lines += [".SH SEE ALSO", _roff(SEE_ALSO[parser.prog])]
    return "\n".join(lines) + "\n"


def write_man(directory: Path) -> None:
    """Write the manual pages."""
    lab, oci = lab_parser(), oci_parser()
    pages = {
        "tonnage.1": page(lab, 1, separate=("image", "vm")),
        "tonnage-image.1": page(commands(lab)["image"], 1),
        "tonnage-vm.1": page(commands(lab)["vm"], 1),
        "tonnage-oci.8": page(oci, 8),
    }
    for name, text in pages.items():
        (directory / name).write_text(text, encoding="utf-8")
        print(f"{directory / name}: man -l {directory / name}")


def write_completion(directory: Path) -> None:
    """Write completion scripts for bash and zsh."""
    import shtab

    for parser in (lab_parser(), oci_parser()):
        _complete_paths(parser, shtab.FILE)
        for shell, name in (("bash", f"{parser.prog}.bash"), ("zsh", f"_{parser.prog}")):
            (directory / name).write_text(shtab.complete(parser, shell), encoding="utf-8")
    print(f"bash: source {directory}/tonnage.bash; zsh: add {directory} to fpath before compinit")


def _complete_paths(parser: argparse.ArgumentParser, completer: Mapping[str, object]) -> None:
    for action in parser._actions:
        if action.metavar in _PATHS:
            action.complete = completer  # type: ignore[attr-defined]
    for below in commands(parser).values():
        _complete_paths(below, completer)


def main() -> int:
    """Write what the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=("man", "completion"))
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    (write_man if options.kind == "man" else write_completion)(options.directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())

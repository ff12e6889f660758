"""The structure of the packages: who imports whom, and how long a file may be.

`ORDER` is the order of folders that ARCHITECTURE.md describes: a file imports only files of its own
room or of rooms further up in the list. A room is a folder or a module; rooms in one line don't
import each other. Imports for type checking and inside functions count as well.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGES = ("lab", "runtime", "vms")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 420
# Each package's rooms, lowest first.
ORDER = {
    "runtime": (
        "errors version lazy",
        "linux",
        "spec",
        "launcher",
        "cgroups",
        "namespaces seccomp",
        "network",
        "rootfs",
        "process",
        "container images",
        "build",
        "oci.arguments oci.module_finder oci.pid_file oci.sd_notify oci.terminal_relay",
        "oci.foreground oci.module_image",
        "oci",
        "oci.commands",  # loaded by name; each takes the settings of oci.cli
    ),
    "vms": (
        "errors lazy linux",
        "paths",
        "libvirt_errors hosts",
        "qemu guest.program",
        "description",
        "boot storage",
        "guest",
        "domain",
        "connection",
        "operations",
    ),
    "lab": (
        "errors language metrics units version",
        "paths",
        "folded_text",
        "terminal_table",
        "plugins progress signals tables toml_file",
        "host",
        "results",
        "statistics",
        "userland network",
        "workloads",
        "targets",
        "delivery",
        "experiments",
        "calibration",
        "measurement",
        "analysis",
        "planning scaling",
        "claims",
        "report",
        "hands_on",
        "classroom",
        "doctor",
        "cli.argument_types cli.examples cli.exit_codes cli.standard_streams",
        "cli.shared_options",
        "cli.classroom cli.image cli.vm",
        "cli",
        "__main__",
    ),
}


def module_name(path: Path) -> str:
    """Return a file's dotted name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in SOURCES}


def imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path: Path) -> set[str]:
    """Return the modules of ours that a file imports; a package, if it only names one of it."""
    names = set()
    for name in imported_names(path):
        module = name if name in MODULES else name.rpartition(".")[0]
        if module in MODULES:
            names.add(module)
    return names - {module_name(path)}


IMPORTS = {name: imported_modules(path) for name, path in MODULES.items()}


def room(module: str) -> tuple[int, str] | None:
    """Return the level and the name of a module's room; None for a package's own `__init__`."""
    package, _, rest = module.partition(".")
    rooms = [
        (level, name)
        for level, line in enumerate(ORDER[package])
        for name in line.split()
        if f"{rest}.".startswith(f"{name}.")
    ]
    return max(rooms, key=lambda each: len(each[1])) if rooms else None


def cycles() -> list[list[str]]:
    """Return the groups of files that import each other, directly or in a loop. (Tarjan 1972)"""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(IMPORTS[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            place = stack.index(module)
            groups.append(stack[place:])
            del stack[place:]

    for module in sorted(MODULES):
        if module not in index:
            visit(module)
    return [group for group in groups if len(group) > 1]


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_lower_package_imports_no_other_package(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    if package != "lab":
        packages = {name.partition(".")[0] for name in imported_names(path)}
        assert not packages & (set(PACKAGES) - {package})


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_file_imports_only_rooms_below_its_own(path: Path) -> None:
    own = room(module_name(path))
    if path.parent.parent == ROOT and path.name == "__init__.py":
        return  # it hands on the package's names
    assert own is not None, f"{path} is in no room: give its folder a place in ORDER"
    package = path.relative_to(ROOT).parts[0]
    for module in sorted(IMPORTS[module_name(path)]):
        if module.partition(".")[0] == package:
            other = room(module)
            assert other is not None, f"{path} imports the package {module} instead of a module"
            assert other[1] == own[1] or other[0] < own[0], f"{path} imports {module}"


def test_no_files_import_each_other() -> None:
    assert cycles() == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_exists(package: str) -> None:
    for name in " ".join(ORDER[package]).split():
        path = ROOT / package / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


@pytest.mark.parametrize("path", SOURCES, ids=module_name)
def test_a_file_is_one_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("package", PACKAGES)
def test_an_init_hands_on_names_and_holds_nothing_else(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text()).body
        kinds = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign, ast.If)
        assert all(isinstance(node, kinds) for node in body), path

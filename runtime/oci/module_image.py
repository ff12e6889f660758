"""An image of the modules that a command imports: their code in one file, in the order of import.

To import eighty modules one by one takes twice as long as to run their code: each is searched for,
locked, and read from its own file. So the first command without a valid image writes one beside the
.pyc files. An image is valid while every source has the size and modification time that it had
then; otherwise the modules are imported one by one.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER
from marshal import dumps, loads

from runtime.oci.module_finder import OPTIMIZED, Finder, Loader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedWriter
    from types import ModuleType
    from typing import NoReturn

    from runtime.oci.module_finder import Imported

    # A module's name, its source relative to the package's parent, True for a package, and the
    # source's modification time and size.
    Entry = tuple[str, str, bool, int, int]

_V2 = "/sys/fs/cgroup/cgroup.controllers"
# Modules that a command imports late; {} is the host's version of cgroups.
_REOPENING = ("runtime.cgroups.manager", "runtime.cgroups.{}.cgroup")
_CREATION = (
    "runtime.container.create",
    *_REOPENING,
    "runtime.cgroups.device_rules",
    "runtime.cgroups.{}.limits",
)
_IMPORTED_LATE = {
    "create": _CREATION,
    "run": _CREATION,
    "start": ("runtime.container.start_gate",),
    "delete": _REOPENING,
}
# An image with another value is outdated.
_VERSION = (MAGIC_NUMBER, OPTIMIZED, _IMPORTED_LATE)
_LENGTH_BYTES = 4
_MODULES_OF_A_PART = 6
_MODULE = type(sys)


def run_command_line() -> NoReturn:
    """Run `runtime.oci.cli`, imported from its image, and exit."""
    code = _import("runtime.oci.cli", "cli", ()).main()
    try:
        sys.stdout.flush()
    finally:
        # An orderly shutdown of Python takes as long as the start of a container.
        os._exit(code)


def import_verb(name: str) -> ModuleType:
    """Import `runtime.oci.commands.NAME`, from its image if our finder is installed."""
    version = "v2" if os.path.exists(_V2) else "v1"
    late = [module.format(version) for module in _IMPORTED_LATE.get(name, ())]
    return _import(f"runtime.oci.commands.{name}", f"{name}-{version}", late)


def _import(name: str, image: str, late: Sequence[str]) -> ModuleType:
    finder = next((each for each in sys.meta_path if isinstance(each, Finder)), None)
    if finder is None:
        return __import__(name, fromlist=["main"])
    path = f"{finder.directory}/runtime/__pycache__/{image}{finder.suffix}.image"
    if load(path, finder):
        return __import__(name, fromlist=["main"])
    before = len(finder.imported)
    module = __import__(name, fromlist=["main"])
    for each in late:
        __import__(each)
    store(path, finder.directory, finder.imported[before:])
    return module


def load(path: str, finder: Finder) -> bool:
    """Run the code in an image; return False if there is no valid image."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        version, entries, parts = loads(_read_part(descriptor))
        if version != _VERSION or not _are_current(entries, finder.directory):
            return False
        remaining = iter(entries)
        for _ in range(parts):
            for code in loads(_read_part(descriptor)):
                entry = next(remaining)
                if entry[0] not in sys.modules:
                    _run(entry, code, finder)
    except (OSError, EOFError, ValueError, TypeError):
        return False
    finally:
        os.close(descriptor)
    return True


def store(path: str, directory: str, imported: list[Imported]) -> None:
    """Write an image of imported modules; do nothing if the directory is not writable.

    Each part is one marshalled value, so that a name which many modules use is read only once. The
    parts are few, so that reading is fast, and small, so that a part's bytes take little memory.
    """
    entries: list[Entry] = []
    codes = []
    for name, source, is_package, status, code in imported:
        below = os.path.relpath(source, directory)
        entries.append((name, below, is_package, status.st_mtime_ns, status.st_size))
        codes.append(code)
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            starts = range(0, len(codes), _MODULES_OF_A_PART)
            _write_part(file, dumps((_VERSION, entries, len(starts))))
            for start in starts:
                _write_part(file, dumps(codes[start : start + _MODULES_OF_A_PART]))
        os.rename(temporary, path)
    except OSError:
        return


def _write_part(file: BufferedWriter, document: bytes) -> None:
    file.write(len(document).to_bytes(_LENGTH_BYTES, "little") + document)


def _read_part(descriptor: int) -> bytes:
    return os.read(descriptor, int.from_bytes(os.read(descriptor, _LENGTH_BYTES), "little"))


def _are_current(entries: list[Entry], directory: str) -> bool:
    for _, below, _, changed_ns, size_bytes in entries:
        status = os.stat(f"{directory}/{below}")
        if status.st_mtime_ns != changed_ns or status.st_size != size_bytes:
            return False
    return True


def _run(entry: Entry, code: object, finder: Finder) -> None:
    """Create a module as importlib does, and run its code."""
    name, below, is_package, *_ = entry
    source = f"{finder.directory}/{below}"
    parent, _, last = name.rpartition(".")
    module = _MODULE(name)
    loader = Loader(name, source, finder)
    spec = ModuleSpec(name, loader, origin=source, is_package=is_package)
    spec.has_location = True
    namespace = module.__dict__
    namespace["__spec__"], namespace["__loader__"], namespace["__file__"] = spec, loader, source
    namespace["__package__"] = name if is_package else parent
    if is_package:
        spec.submodule_search_locations = [source.removesuffix("/__init__.py")]
        namespace["__path__"] = spec.submodule_search_locations
    sys.modules[name] = module
    try:
        exec(code, namespace)  # type: ignore[arg-type]
    except BaseException:
        del sys.modules[name]
        raise
    setattr(sys.modules[parent], last, module)

"""What a verb imports, in one file: the code of its modules, in the order in which they ran first.

To import fifty modules one by one takes twice as long as to run their code: each is looked for,
locked, and read from a file of its own. So the first command that finds no image of its verb, or
one that does not hold any more, writes one beside the .pyc files. It holds as long as every source
is of the size and the time of change that it was of then; else all is imported as ever.
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
    from types import ModuleType

    from runtime.oci.module_finder import Imported

    # A module's name, its source below the package's parent, is it a package, the source's time of
    # change and size, and how many bytes of code there are.
    Entry = tuple[str, str, bool, int, int, int]

_LENGTH_BYTES = 4
_V2 = "/sys/fs/cgroup/cgroup.controllers"
# What a verb imports only once it knows the host's version of cgroups.
_CGROUPS = (
    "runtime.cgroups.{}.cgroup",
    "runtime.cgroups.device_rules",
    "runtime.cgroups.{}.limits",
)
_NEEDED_LATER = {"create": _CGROUPS, "run": _CGROUPS, "delete": _CGROUPS[:1]}
_MODULE = type(sys)


def import_verb(name: str) -> ModuleType:
    """Import `runtime.oci.commands.NAME`, by its image if our finder is in use and that holds."""
    whole = f"runtime.oci.commands.{name}"
    finder = next((each for each in sys.meta_path if isinstance(each, Finder)), None)
    if finder is None:
        return __import__(whole, fromlist=["main"])
    version = "v2" if os.path.exists(_V2) else "v1"
    kept_in = f"{finder.directory}/runtime/__pycache__"
    path = f"{kept_in}/{name}-{version}{finder.suffix}.image"
    if load(path, finder):
        return __import__(whole, fromlist=["main"])
    before = len(finder.imported)
    module = __import__(whole, fromlist=["main"])
    for needed in _NEEDED_LATER.get(name, ()):
        __import__(needed.format(version))
    keep(path, finder.directory, finder.imported[before:])
    return module


def load(path: str, finder: Finder) -> bool:
    """Run the code of an image; return False if there is none that holds."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        head = os.read(descriptor, int.from_bytes(os.read(descriptor, _LENGTH_BYTES), "little"))
        made_by, entries = loads(head)
        if made_by != (MAGIC_NUMBER, OPTIMIZED) or not _hold(entries, finder.directory):
            return False
        # Read one by one: what is read for one is the memory for the next.
        for entry in entries:
            code = os.read(descriptor, entry[-1])
            if entry[0] not in sys.modules:
                _run(entry, loads(code), finder)
    except (OSError, EOFError, ValueError, TypeError):
        return False
    finally:
        os.close(descriptor)
    return True


def keep(path: str, directory: str, imported: list[Imported]) -> None:
    """Write an image of modules below a directory; where nothing can be written there is none."""
    entries: list[Entry] = []
    codes = []
    for name, source, is_package, found, code in imported:
        codes.append(dumps(code))
        below = os.path.relpath(source, directory)
        entries.append((name, below, is_package, found.st_mtime_ns, found.st_size, len(codes[-1])))
    head = dumps(((MAGIC_NUMBER, OPTIMIZED), entries))
    aside = f"{path}.{os.getpid()}"
    try:
        with open(aside, "xb") as file:
            file.write(len(head).to_bytes(_LENGTH_BYTES, "little") + head + b"".join(codes))
        os.rename(aside, path)
    except OSError:
        return


def _hold(entries: list[Entry], directory: str) -> bool:
    for _, below, _, changed_ns, size_bytes, _ in entries:
        found = os.stat(f"{directory}/{below}")
        if found.st_mtime_ns != changed_ns or found.st_size != size_bytes:
            return False
    return True


def _run(entry: Entry, code: object, finder: Finder) -> None:
    """Make a module as importlib does, and run its code."""
    name, below, is_package, *_ = entry
    source = f"{finder.directory}/{below}"
    parent, _, last = name.rpartition(".")
    module = _MODULE(name)
    loader = Loader(name, source, finder)
    spec = ModuleSpec(name, loader, origin=source, is_package=is_package)
    spec.has_location = True
    module.__spec__, module.__loader__, module.__file__ = spec, loader, source
    module.__package__ = name if is_package else parent
    if is_package:
        spec.submodule_search_locations = [os.path.dirname(source)]
        module.__path__ = spec.submodule_search_locations
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)  # type: ignore[arg-type]
    except BaseException:
        del sys.modules[name]
        raise
    setattr(sys.modules[parent], last, module)

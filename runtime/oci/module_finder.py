"""A finder of this package's modules that reads their .pyc files directly.

Python's own search lists directories and tries five names for each module; a start imports some
eighty modules, and waits for each. If a .pyc file does not match the source's size and modification
time, or this version of Python, Python compiles the source and writes the file.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    # A module's name, its source, True for a package, the source's status, and the code.
    Imported = tuple[str, str, bool, os.stat_result, CodeType]

_PACKAGE = "runtime"
OPTIMIZED = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
_HEADER_BYTES = 16


class Finder:
    """An entry of `sys.meta_path` for the modules of this package.

    `directory` holds the package; `imported` lists the imported modules, in the order in which
    their code was finished.
    """

    suffix = f".{sys.implementation.cache_tag}{OPTIMIZED}"

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.imported: list[Imported] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's spec, or None for other packages and modules without a source."""
        if not name.startswith(f"{_PACKAGE}."):
            return None
        place = f"{self.directory}/{name.replace('.', '/')}"
        for source, is_package in ((f"{place}.py", False), (f"{place}/__init__.py", True)):
            loader = Loader(name, source, self)
            try:
                loader.status = os.stat(source)
            except OSError:
                continue
            spec = ModuleSpec(name, loader, origin=source, is_package=is_package)
            spec.has_location = True
            if is_package:
                spec.submodule_search_locations = [place]
            return spec
        return None


class Loader(SourceFileLoader):
    """A loader that runs a module's compiled code, and reports the module to its finder."""

    status: os.stat_result

    def __init__(self, name: str, source: str, finder: Finder) -> None:
        super().__init__(name, source)
        self._finder = finder

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code, compiled again if necessary."""
        return _compiled(self.path, os.stat(self.path)) or super().get_code(fullname)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        name = module.__name__
        code = _compiled(self.path, self.status) or super().get_code(name)
        assert code
        exec(code, module.__dict__)
        is_package = hasattr(module, "__path__")
        self._finder.imported.append((name, self.path, is_package, self.status, code))


def install() -> None:
    """Make this finder the first of `sys.meta_path`."""
    package = __file__.removesuffix("/oci/module_finder.py")
    sys.meta_path.insert(0, Finder(os.path.dirname(os.path.abspath(package))))


def _compiled(path: str, source: os.stat_result) -> CodeType | None:
    """Return the cached code of a source, or None if it is absent or outdated."""
    directory, _, name = path.rpartition("/")
    cached = f"{directory}/__pycache__/{name[:-3]}{Finder.suffix}.pyc"
    try:
        descriptor = os.open(cached, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)
    state = (int(source.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
    state += (source.st_size & 0xFFFFFFFF).to_bytes(4, "little")
    if data[:_HEADER_BYTES] != MAGIC_NUMBER + bytes(4) + state:
        return None
    code: CodeType = loads(memoryview(data)[_HEADER_BYTES:])
    return code

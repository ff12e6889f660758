"""Names of a package that are imported when they are first asked for. (PEP 562)"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def attributes(package: str, modules: dict[str, str]) -> Callable[[str], object]:
    """Return a package's `__getattr__`; `modules` has the module below it of each name."""

    def __getattr__(name: str) -> object:  # noqa: N807 - the name that PEP 562 gives it
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(__import__(f"{package}.{modules[name]}", fromlist=[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__

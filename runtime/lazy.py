"""Work that is put off until it is needed, and not repeated; the start of a container waits for it.

`functools` and `importlib` offer the same, but are slow to import.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")


def attributes(package: str, modules: dict[str, str]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package, which imports a public name when it is first used.

    `modules` gives for each name the module that defines it, relative to the package. (PEP 562)
    """

    def __getattr__(name: str) -> object:  # noqa: N807 - the name that PEP 562 gives it
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(__import__(f"{package}.{modules[name]}", fromlist=[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function to keep its latest result, and return it while the arguments are equal.

    Unlike `functools.lru_cache` it compares the arguments and does not hash them: configurations
    are compared by identity first, and slow to hash.
    """
    latest: tuple[object, R] | None = None

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal latest
        if latest is None or latest[0] != (args, kwargs):
            latest = ((args, kwargs), function(*args, **kwargs))
        return latest[1]

    return call

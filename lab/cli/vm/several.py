"""Verbs with several names: every name is tried, and every failure is reported."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.cli import exit_codes
from lab.cli.standard_streams import OutputError
from lab.errors import InvalidConfig, LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@contextmanager
def lab_errors() -> Iterator[None]:
    """Raise LabError in place of an error of `vms`."""
    from vms import MachineError

    try:
        yield
    except MachineError as error:
        raise LabError(str(error)) from error
    except UnicodeEncodeError as error:
        raise InvalidConfig(
            f"{error.object!r} is not valid UTF-8, which libvirt requires."
        ) from error


def for_each(names: Sequence[str], act: Callable[[str], object]) -> int:
    """Run a function for every name, and return the exit code of the verb.

    With one name, its error is raised. With several names, the error of a name is printed, the
    others are tried all the same, and the exit code is 1.
    """
    if len(names) == 1:
        act(names[0])
        return exit_codes.DONE
    exit_code = exit_codes.DONE
    for name in names:
        try:
            with lab_errors():
                act(name)
        except OutputError:
            raise
        except LabError as error:
            print(f"tonnage: {error}", file=sys.stderr)
            exit_code = exit_codes.SOME_FAILED
    return exit_code

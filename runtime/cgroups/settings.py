"""Limits as values of files, and the order in which several are written."""

from __future__ import annotations

import errno

from runtime.cgroups import files
from runtime.errors import ContainerError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Reader = Callable[[str, str], str | None]  # (controller, file): text, None if absent

# The kernel's errors for a value that conflicts with the present value of another file.
_REFUSALS = (errno.EINVAL, errno.EBUSY)


class Setting:
    """A `value` for a controller's `file`, for a `field` of the configuration.

    `is_optional`: without the file the kernel behaves as if the value were set. `is_entry`: the
    value is one line of several in the file, and can't be read back in this form.
    """

    __slots__ = ("controller", "field", "file", "is_entry", "is_optional", "value")

    def __init__(
        self,
        field: str,
        controller: str,
        file: str,
        value: str | int,
        *,
        is_optional: bool = False,
        is_entry: bool = False,
    ) -> None:
        self.field = field
        self.controller = controller
        self.file = file
        self.value = str(value)
        self.is_optional = is_optional
        self.is_entry = is_entry


def apply(settings: Sequence[Setting], directory_of: Callable[[Setting], str]) -> None:
    """Write all settings, in an order that the kernel accepts.

    The kernel compares some values with the present ones: memory with memory plus swap, a quota
    with its burst, both with the parent's share of a period. So refused settings are tried again
    after the others, until none succeeds any more. Raise ContainerError, which names the field, the
    file and the value.
    """
    left = settings
    while left:
        refused = []
        for setting in left:
            directory = directory_of(setting)
            try:
                files.write(f"{directory}/{setting.file}", setting.value)
            except OSError as error:
                if error.errno in _REFUSALS:
                    refused.append((setting, error))
                elif error.errno != errno.ENOENT or not setting.is_optional:
                    raise _failure(setting, directory, error) from error
        if len(refused) == len(left):
            setting, refusal = refused[0]
            raise _failure(setting, directory_of(setting), refusal) from refusal
        left = [setting for setting, _ in refused]


def as_they_are(settings: Sequence[Setting], read: Reader) -> list[Setting]:
    """Return settings with the present values of the same files."""
    present = []
    for setting in settings:
        if not setting.is_entry:
            text = read(setting.controller, setting.file)
            if text is not None:
                present.append(Setting(setting.field, setting.controller, setting.file, text))
    return present


def restore(settings: Sequence[Setting], directory_of: Callable[[Setting], str]) -> None:
    """Write earlier settings back, as far as the kernel accepts them, after another error."""
    try:
        apply(settings, directory_of)
    except ContainerError:
        pass


def _failure(setting: Setting, directory: str, error: OSError) -> ContainerError:
    where = f"linux.resources.{setting.field}"
    if error.errno == errno.ENOENT:
        return Unavailable(f"{where}: this kernel has no {setting.file} in {directory}.")
    return ContainerError(
        f"{where}: can't write {setting.value!r} to {directory}/{setting.file}: {error.strerror}."
    )

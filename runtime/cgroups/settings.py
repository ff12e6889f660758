"""A limit as the value of a file, and how many of them are set together."""

from __future__ import annotations

import errno

from runtime.cgroups import files
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Reader = Callable[[str, str], str | None]  # (controller, file): its text, if it is there

# What the kernel says to a value that does not go with another one as it stands.
_REFUSALS = (errno.EINVAL, errno.EBUSY)


class Setting:
    """`value` for a controller's `file`, because the document's `field` asks for it.

    `is_optional`: a kernel without the file has the effect without it. `is_entry`: it is one line
    of several in the file, which can't be read back as it is written.
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
    """Set them all, in the order in which the kernel takes them.

    The kernel holds some values against others as they stand: memory against memory and swap, a
    quota against its burst, both against the parent's share of a period. So what it refuses is
    tried again once the rest is set, until nothing changes any more. Raises ContainerError that
    names the field, the file and the value.
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
    """The same files with the values that they have now, to go back to."""
    found = []
    for setting in settings:
        if not setting.is_entry:
            text = read(setting.controller, setting.file)
            if text is not None:
                found.append(Setting(setting.field, setting.controller, setting.file, text))
    return found


def restore(settings: Sequence[Setting], directory_of: Callable[[Setting], str]) -> None:
    """Go back to them as far as the kernel lets; what led here is the error to be told."""
    try:
        apply(settings, directory_of)
    except ContainerError:
        pass


def _failure(setting: Setting, directory: str, error: OSError) -> ContainerError:
    where = f"linux.resources.{setting.field}"
    if error.errno == errno.ENOENT:
        return ContainerError(f"{where}: this kernel has no {setting.file} in {directory}.")
    return ContainerError(
        f"{where}: can't write {setting.value!r} to {directory}/{setting.file}: {error.strerror}."
    )

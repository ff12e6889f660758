"""Errors of the runtime; the text of each says what is wrong, where, and what to do.

ContainerError          any failure; whatever the call had made is removed again
├── NotFound            no container has this id
├── AlreadyExists       a container has this id already
├── CorruptState        the files that are kept of a container are missing or can't be read
├── InvalidState        the container's status forbids the operation, such as starting it twice
├── InvalidConfig       a configuration or an argument is wrong; the text names the field
├── Unavailable         the host lacks a feature, a program or a privilege that is needed
└── HookFailed          a hook failed, took too long, or could not be run
"""


class ContainerError(Exception):
    """A failed operation on a container; the root of all errors of this package."""


class NotFound(ContainerError):
    """No container has this id: list the containers, or create it."""


class AlreadyExists(ContainerError):
    """A container has this id already: choose another, or delete the container."""


class CorruptState(ContainerError):
    """The files that are kept of a container are missing or damaged: delete it with force."""


class InvalidState(ContainerError):
    """The container's status forbids the operation: bring it to the status that the text names."""


class InvalidConfig(ContainerError):
    """A configuration or an argument can't be carried out on any host: correct the named field."""


class Unavailable(ContainerError):
    """The host lacks a feature, a program or a privilege: provide it, or do without."""


class HookFailed(ContainerError):
    """A hook returned an error, exceeded its timeout, or could not be executed."""

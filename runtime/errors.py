"""What goes wrong in the runtime, as sentences.

ContainerError          the user can act on it; nothing was left behind
└── HookFailed          a program that the configuration wants run could not be, or failed
"""


class ContainerError(Exception):
    """A sentence that says which step failed, on what, and why."""


class HookFailed(ContainerError):
    """A hook failed, was killed for taking too long, or could not be run."""

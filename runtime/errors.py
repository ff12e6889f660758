"""What goes wrong in the runtime, as sentences.

ContainerError          the user can act on it; nothing was left behind
"""


class ContainerError(Exception):
    """A sentence that says which step failed, on what, and why."""

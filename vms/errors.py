"""What goes wrong with machines, as sentences.

MachineError            the user can act on it; nothing was left behind
└── BootTimeout         a machine did not get as far as it should within its deadline
"""


class MachineError(Exception):
    """A sentence that says what failed and what to do."""


class BootTimeout(MachineError):
    """The deadline passed, or the machine ended first."""

"""The user of the tests in the user database: programs such as ssh-keygen refuse unknown ones."""

from __future__ import annotations

import os
import pwd


def has_an_account() -> bool:
    """Return True if the user database knows this user."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return False
    return True

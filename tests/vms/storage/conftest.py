"""A state directory and a connection of each test's own."""

from tests.vms.private_state import connection, state

__all__ = ["connection", "state"]

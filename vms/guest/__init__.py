"""Communication with a running guest: agents, file copies, serial lines."""

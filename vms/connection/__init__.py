"""Connections to libvirt: embedded in this process, or to a daemon."""

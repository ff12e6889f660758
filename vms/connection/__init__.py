"""Connections to libvirt, in process or to a daemon."""

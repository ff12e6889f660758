"""QEMU beneath libvirt: its monitor, its processes and its accelerators."""

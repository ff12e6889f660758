"""QEMU processes: how they start, their monitor, their end, and KVM or emulation."""

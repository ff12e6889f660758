"""Planning: how many hosts a number of instances needs, by packing measured footprints."""

from lab.planning.packing import HostCapacity, InstanceRequests, Plan, pack

__all__ = ["HostCapacity", "InstanceRequests", "Plan", "pack"]

"""How many hosts it takes: measured footprints packed onto hosts."""

from lab.planning.packing import Host, Instance, Plan, pack

__all__ = ["Host", "Instance", "Plan", "pack"]

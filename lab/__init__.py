"""The lab: asks what containers and virtual machines cost, and measures it."""

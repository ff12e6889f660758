"""The lab: measures what containers and virtual machines cost on a host, side by side."""

"""The root file system of a container: its mounts, devices and masked paths."""

"""The root file system of a container and what is mounted in it."""

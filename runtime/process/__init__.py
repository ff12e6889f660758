"""The first process of a container, from clone to exec."""

"""Builds: Dockerfiles as typed instructions, and the expansion of variables in them."""

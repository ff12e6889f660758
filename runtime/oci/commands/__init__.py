"""The commands of `tonnage-oci`, a module each, whose `main` gives the exit code."""

"""The commands of `tonnage-oci`, each in a module whose `main` returns the exit code."""

"""The verbs of `tonnage class`, a file each."""

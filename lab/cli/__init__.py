"""The `tonnage` command: a file per verb, and `vm` with the verbs of machines."""

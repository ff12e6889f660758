"""`tonnage vm`: the verbs of virtual machines."""

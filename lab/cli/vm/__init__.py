"""`tonnage vm`: the verbs of machines."""

"""`tonnage`: the command line, a verb a file."""

"""The questions of each notebook: a file each, with the questions in their order."""

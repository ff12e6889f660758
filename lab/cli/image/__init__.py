"""`tonnage image`: the verbs of images, with docker's options and output."""

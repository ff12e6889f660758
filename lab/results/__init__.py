"""Run folders and the samples in them."""

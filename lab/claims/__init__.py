"""The table of claims: each with its evidence and a verdict."""

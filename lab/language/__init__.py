"""The languages in which people read results: English, and Chinese by catalogues of messages."""

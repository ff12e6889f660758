"""The host: its facts, what disturbs it, its tuning, and the measurement lock."""

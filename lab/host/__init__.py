"""The host: its facts, disturbances, tuning, accounting, and the measurement lock."""

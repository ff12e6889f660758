"""How well the lab measures: A/A trials, injected slow-downs, overhead, channels."""

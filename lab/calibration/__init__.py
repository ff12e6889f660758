"""Calibration of the lab on a host: A/A trials, injected slow-downs, overhead, channel latency."""

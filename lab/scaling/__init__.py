"""Scaling: a simulation of requests, instances and an autoscaler through a peak."""

"""Autoscalers, each step for step as its documentation and its source describe it."""

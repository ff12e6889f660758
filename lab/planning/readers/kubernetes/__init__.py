"""Kubernetes' objects: what a pod requests, what a node offers, and which pods may run where."""

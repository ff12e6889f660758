"""The OCI configuration: its types, defaults and profile."""

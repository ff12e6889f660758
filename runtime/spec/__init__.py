"""The OCI configuration: its types, the defaults, and docker's profile."""

"""`tonnage-oci`: the command line of an OCI runtime."""

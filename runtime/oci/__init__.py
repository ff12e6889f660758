"""`tonnage-oci`: an OCI runtime's command line."""

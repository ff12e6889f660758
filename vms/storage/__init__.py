"""Images and disks: the store, qcow2, overlays and who reads them."""

"""Images and disks: the image store, qcow2, overlays, and the policy for untrusted images."""

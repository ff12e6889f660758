"""Machine targets: by libvirt, by QEMU alone, by virt-install, and by other VMMs."""

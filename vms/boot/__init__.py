"""Boot media of a guest: kernel, initramfs and cloud-init seed."""

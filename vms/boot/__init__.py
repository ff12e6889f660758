"""Kernels, initramfs and seeds: what a machine boots from."""

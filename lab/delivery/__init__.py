"""Tools that deliver an image: each with storage of its own, and a registry on loopback."""

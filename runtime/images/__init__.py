"""Container images: references, manifests, the store, layers and registries.

Nothing on the start path of `tonnage-oci` imports this package.
"""

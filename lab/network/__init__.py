"""Network namespaces, tap devices and the isolated network of a measurement."""

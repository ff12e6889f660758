"""Network namespaces and taps in which targets serve."""

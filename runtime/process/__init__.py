"""The first process of a container, between clone and exec."""

"""One user land in three forms: directory, image and disk."""

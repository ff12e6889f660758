"""The life of one container: create, start, exec, kill, checkpoint, delete."""

"""The classroom: what a class watches and does with the lab's measurements."""

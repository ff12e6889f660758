"""Child processes that run a program of system calls, and the channel to them."""

"""Child processes that carry out a program of system calls, and the channel to them."""

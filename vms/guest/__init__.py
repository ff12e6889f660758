"""Conversations with a guest: agents, file copies, serial lines."""

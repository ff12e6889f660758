"""Separators of lists, which differ between languages: those of `joined`."""

from __future__ import annotations

from lab.language.message import Message

COMMA = Message(", ")
SEMICOLON = Message("; ")
COLON = Message(": ")
SENTENCES = Message(". ")

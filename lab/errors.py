"""What goes wrong in the lab, as sentences.

LabError              the user can act on it; the command line prints the sentence
└── StartFailed       an instance did not reach a milestone: a censored sample, not a crash
"""


class LabError(Exception):
    """A sentence that says what is wrong and what to do."""


class StartFailed(LabError):
    """An instance did not start, or not within its deadline; the sentence says which."""

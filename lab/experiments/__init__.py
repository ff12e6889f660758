"""One module a question; each is put to one target at a time and returns samples."""

from lab.experiments.base import Experiment, Tell
from lab.experiments.registry import EXPERIMENTS, find, in_turn

__all__ = ["EXPERIMENTS", "Experiment", "Tell", "find", "in_turn"]

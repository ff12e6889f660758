"""Experiments: one module per question. An experiment measures one target at a time."""

from lab.experiments.base import Experiment, ProgressCallback
from lab.experiments.registry import EXPERIMENTS, absent, find, image_refusal, in_turn

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "ProgressCallback",
    "absent",
    "find",
    "image_refusal",
    "in_turn",
]

"""Experiments: one module per question. An experiment measures one target at a time."""

from lab.experiments.base import Experiment, ProgressCallback
from lab.experiments.registry import EXPERIMENTS, find, image_refusal, in_turn

__all__ = ["EXPERIMENTS", "Experiment", "ProgressCallback", "find", "image_refusal", "in_turn"]

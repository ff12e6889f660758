"""Exercises: questions about a run, for each student others, checked without a network."""

from lab.classroom.exercises.exercise_set import NOTEBOOKS, Questions, Result, questions

__all__ = ["NOTEBOOKS", "Questions", "Result", "questions"]

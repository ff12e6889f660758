"""Draws: decided by the words, the same everywhere."""

from __future__ import annotations

from lab.classroom.exercises.draw import Draw


def test_the_draws_of_known_words_never_change() -> None:
    draw = Draw("near-native", "ratio-to-native", "2026-017")
    assert [draw.below(1000) for _ in range(5)] == [874, 708, 561, 381, 190]
    assert draw.shuffled("abcdef") == list("cafedb")


def test_words_that_run_together_are_kept_apart() -> None:
    assert Draw("a", "bc").below(1 << 64) != Draw("ab", "c").below(1 << 64)


def test_a_composed_and_a_decomposed_letter_are_the_same_student() -> None:
    assert Draw("é").below(1 << 64) == Draw("e\u0301").below(1 << 64)


def test_a_lone_surrogate_is_a_student_too() -> None:
    Draw("\udcff").below(3)

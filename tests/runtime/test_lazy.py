"""Results that are remembered."""

from __future__ import annotations

from runtime.lazy import remembered


def test_the_latest_result_is_remembered_while_the_arguments_are_equal() -> None:
    calls: list[tuple[int, ...]] = []

    @remembered
    def double(numbers: tuple[int, ...]) -> list[int]:
        calls.append(numbers)
        return [2 * number for number in numbers]

    assert double((1, 2)) == [2, 4]
    assert double((1, 2)) == [2, 4]
    assert double((3,)) == [6]
    assert double((1, 2)) == [2, 4]
    assert calls == [(1, 2), (3,), (1, 2)]

"""Amounts of resources: what is read and what is shown."""

from __future__ import annotations

import math

import pytest

from lab.errors import InvalidConfig
from lab.planning.amounts import amount, described, label, share, written
from lab.planning.inventory import (
    CPUS,
    DISK_BYTES,
    GPUS,
    MEMORY_BYTES,
    NETWORK_BITS_PER_SECOND,
)


@pytest.mark.parametrize(
    ("resource", "value", "expected"),
    [
        (CPUS, 2.0, 2.0),
        (CPUS, 0.25, 0.25),
        (CPUS, "250m", 0.25),
        (CPUS, "1.5", 1.5),
        (GPUS, 1.0, 1.0),
        ("licences", 3.0, 3.0),
        (MEMORY_BYTES, "512 MiB", 512 * 2**20),
        (MEMORY_BYTES, "1.5GiB", 1.5 * 2**30),
        (MEMORY_BYTES, " 1e3 kB ", 1e6),
        (MEMORY_BYTES, "7 B", 7.0),
        (MEMORY_BYTES, 0.0, 0.0),
        (DISK_BYTES, "2 TB", 2e12),
        (DISK_BYTES, "2 TiB", 2.0 * 2**40),
        (DISK_BYTES, ".5 PB", 5e14),
        (NETWORK_BITS_PER_SECOND, "100 Mbit/s", 1e8),
        (NETWORK_BITS_PER_SECOND, "10 Gbit/s", 1e10),
        (NETWORK_BITS_PER_SECOND, "64 kbit/s", 64e3),
        (NETWORK_BITS_PER_SECOND, "9 bit/s", 9.0),
    ],
)
def test_an_amount_is_read_in_the_resources_own_unit(
    resource: str, value: float | str, expected: float
) -> None:
    assert amount("key", resource, value) == expected


@pytest.mark.parametrize(
    ("resource", "value", "sentence"),
    [
        (MEMORY_BYTES, 512.0, 'key: 512.0 has no unit: write it as in "512 MiB".'),
        (MEMORY_BYTES, "512", "key: '512' has no unit: use B, KiB, MiB, GiB, TiB, PiB, kB"),
        (MEMORY_BYTES, "512 MB2", "key: '512 MB2' has an unknown unit, 'MB2': use B"),
        (MEMORY_BYTES, "512 mib", "key: '512 mib' has an unknown unit, 'mib': use B"),
        (MEMORY_BYTES, "much", "key: 'much' is not an amount."),
        (MEMORY_BYTES, "", "key: '' is not an amount."),
        (MEMORY_BYTES, "-1 MiB", "key: '-1 MiB' is negative."),
        (MEMORY_BYTES, "1e999 B", "key: '1e999 B' is not a finite number."),
        (MEMORY_BYTES, math.nan, "key: nan has no unit"),
        (NETWORK_BITS_PER_SECOND, "100 MB/s", "key: '100 MB/s' has an unknown unit, 'MB/s': use"),
        (CPUS, "2 cores", "key: '2 cores' has an unknown unit, 'cores': write a number."),
        (GPUS, "1m", "key: '1m' has an unknown unit, 'm': write a number."),
        (CPUS, -0.5, "key: -0.5 is negative."),
        (CPUS, math.nan, "key: nan is not a finite number."),
        (CPUS, math.inf, "key: inf is not a finite number."),
        ("licences", -1.0, "key: -1.0 is negative."),
    ],
)
def test_an_unusable_amount_is_one_sentence_with_the_key(
    resource: str, value: float | str, sentence: str
) -> None:
    with pytest.raises(InvalidConfig) as raised:
        amount("key", resource, value)
    assert str(raised.value).startswith(sentence)


def test_a_share_is_a_percentage() -> None:
    assert share("key", "10 %") == 0.1
    assert share("key", "2.5%") == 0.025
    assert share("key", "0 %") == 0.0


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (0.1, 'key: 0.1 has no unit: write it as in "10 %".'),
        ("10", "key: '10' has no unit: write it as in \"10 %\"."),
        ("10 percent", "key: '10 percent' has an unknown unit, 'percent': write it as in"),
        ("-1 %", "key: '-1 %' is negative."),
        ("100 %", "key: '100 %' is too much: it must be below 100 %."),
    ],
)
def test_an_unusable_share_is_one_sentence(value: float | str, sentence: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        share("key", value, most=1.0)
    assert str(raised.value).startswith(sentence)


def test_amounts_are_shown_with_their_units() -> None:
    assert written(CPUS, 0.5) == "0.50 CPUs"
    assert written(GPUS, 8) == "8 GPUs"
    assert written(MEMORY_BYTES, 512 * 2**20) == "512 MiB"
    assert written(NETWORK_BITS_PER_SECOND, 1e8) == "100 Mbit/s"
    assert written(NETWORK_BITS_PER_SECOND, 0) == "0 bit/s"
    assert written("licences", 3) == "3"
    assert described(CPUS, 2) == "2 CPUs"
    assert described(MEMORY_BYTES, 2**30) == "1 GiB of memory"
    assert described("licences", 3) == "3 licences"
    assert label(NETWORK_BITS_PER_SECOND) == "network"
    assert label("licences") == "licences"

"""Sizes, memory and names in the options of a machine."""

from __future__ import annotations

import argparse
import os

import pytest

from lab.cli import argument_types
from lab.cli.vm import machine_options


@pytest.mark.parametrize(
    ("text", "size"), [("512M", 512 << 20), ("20GiB", 20 << 30), ("7g", 7 << 30), ("1kB", 1024)]
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert argument_types.size(text) == size


@pytest.mark.parametrize(
    ("text", "mib"), [("512", 512), ("512M", 512), ("2G", 2048), ("65536K", 64)]
)
def test_a_plain_number_is_mib_of_memory(text: str, mib: int) -> None:
    assert machine_options.memory_mib(text) == mib
    options = machine_options.parser().parse_args(["--memory", text])
    assert options.memory == mib


@pytest.mark.parametrize("text", ["0", "", "much", "-1", "1.5G", "512", "7B", "1 G"])
def test_a_size_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a size: write 512M or 20G"):
        argument_types.size(text)


def test_memory_is_whole_mib() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a multiple of 1 MiB"):
        machine_options.memory_mib("1500K")


def test_an_image_with_a_long_name_runs_without_a_name() -> None:
    options = machine_options.parser().parse_args(
        ["debian-12-genericcloud-amd64-daily-20241129-1942"]
    )
    name = machine_options.name(options)
    assert len(name) <= 48
    assert name.startswith("debian-12-genericcloud-amd64-daily")
    assert name.endswith(f"-{os.getpid()}")

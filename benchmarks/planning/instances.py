"""Packing problems to measure with: one that is published, a random one, and public data sets.

The data are looked for in the folder that TONNAGE_DATA names, or in `shared/data` beside or above
the repository.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
import tarfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.planning.problem import Demand, HostKind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GPU = 1_000  # milli-GPUs of a device


class Known(NamedTuple):
    """A public instance with its optimum, if known, and the best cost of a published heuristic."""

    name: str
    problem: Problem
    optimum: int | None
    best_heuristic: int


def data_folder() -> Path | None:
    """Return the folder of public data, None if there is none."""
    if named := os.environ.get("TONNAGE_DATA"):
        return Path(named)
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "data").is_dir():
            return folder / "shared" / "data"
    return None


def estimator() -> Problem:
    """Return the problem of Kubernetes' BenchmarkBinpackingEstimate: millicores, memory, pods."""
    return Problem(
        ("cpu_milli", "memory", "pods"),
        (Demand("small", 50_000, (50, 100, 1)), Demand("large", 1_000, (95, 190, 1))),
        (HostKind("template", (1_000, 5_000, 100)),),
    )


def million(seed: int = 1) -> Problem:
    """Return 1,000,000 replicas of 50 kinds with 4 resources, and 5 kinds of hosts with prices."""
    chance = random.Random(seed)
    weights = [chance.paretovariate(1.2) for _ in range(50)]
    replicas = [int(1_000_000 * weight / sum(weights)) for weight in weights]
    replicas[0] += 1_000_000 - sum(replicas)
    demands = []
    for place, number in enumerate(replicas):
        cores = chance.choice((100, 200, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000))
        memory = int(cores * chance.choice((0.5, 1, 2, 4, 8)) * 1.024)
        disk, network = chance.randint(1, 40), chance.choice((1, 5, 10, 25, 50, 100, 250))
        demands.append(Demand(f"service-{place}", number, (cores, memory, disk, network)))
    hosts = (
        HostKind("general-16", (15_800, 63_000, 600, 10_000), 100),
        HostKind("general-64", (63_500, 255_000, 2_400, 25_000), 390),
        HostKind("compute-32", (31_700, 63_000, 1_200, 12_500), 165),
        HostKind("memory-32", (31_700, 254_000, 1_200, 12_500), 250),
        HostKind("storage-16", (15_800, 126_000, 7_500, 10_000), 210),
    )
    return Problem(("cpu_milli", "memory_mib", "disk_gib", "network_mbit"), tuple(demands), hosts)


def openb(folder: Path, *, counted: bool) -> Problem:
    """Return the pods and nodes of Alibaba's GPU trace of 2023 as a problem of the fewest nodes.

    Each pod requests millicores, MiB, and milli-GPUs of one device or of several whole ones. With
    `counted`, the nodes are those of the cluster, and milli-GPUs are one resource of a node: a
    pod's share might be split over devices. Else there are as many of each kind as are wanted, and
    two more resources hold what devices allow: pods of more than half a device have one each, and
    of those from 46 % on two share one at most (dual feasible functions, Fekete and Schepers 2001).
    """
    pods: Counter[tuple[int, int, int, int]] = Counter()
    for row in _rows(folder / "openb_pod_list_default.csv.gz"):
        pods[
            int(row["cpu_milli"]),
            int(row["memory_mib"]),
            int(row["num_gpu"]),
            int(row["gpu_milli"]),
        ] += 1
    nodes = Counter(
        (int(row["cpu_milli"]), int(row["memory_mib"]), int(row["gpu"]))
        for row in _rows(folder / "openb_node_list_all_node.csv.gz")
    )
    demands = []
    for (cores, memory, gpus, share), number in sorted(pods.items()):
        amounts = [cores, memory, gpus * share]
        if not counted:
            amounts += [gpus * _halves(share, 500), gpus * _halves(share, 460)]
        name = f"{cores}m-{memory}Mi-{gpus}x{share}"
        demands.append(Demand(name, number, tuple(amounts)))
    hosts = []
    for (cores, memory, gpus), number in sorted(nodes.items()):
        room = [cores, memory, gpus * _GPU]
        if not counted:
            room += [2 * gpus, 2 * gpus]
        available = number if counted else None
        hosts.append(HostKind(f"{cores}m-{memory}Mi-{gpus}", tuple(room), 1, available))
    resources = ("cpu_milli", "memory_mib", "gpu_milli", "gpu_halves", "gpu_pairs")
    return Problem(resources[: 3 if counted else 5], tuple(demands), tuple(hosts))


def fits_devices(pods: Sequence[tuple[str, int]], host: str) -> bool:
    """Return True if the pods' shares fit on the node's devices, by first fit decreasing."""
    rooms = [_GPU] * int(host.rpartition("-")[2])
    shares: list[int] = []
    for name, count in pods:
        gpus, _, share = name.rpartition("-")[2].partition("x")
        shares += [int(share)] * (int(gpus) * count)
    for each in sorted(shares, reverse=True):
        for place, room in enumerate(rooms):
            if each <= room:
                rooms[place] -= each
                break
        else:
            return False
    return True


def vectorpack(folder: Path, family: str, number: int, seed: int = 1) -> Iterator[Known]:
    """Yield a random sample of a family's instances, in the order of their names."""
    with (folder / f"{family}_summary_known.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    chosen = random.Random(seed).sample(rows, min(number, len(rows)))
    with tarfile.open(folder / f"{family}_instances.tar.gz") as archive:
        members = {Path(name).stem: name for name in archive.getnames() if name.endswith(".vbp")}
        for row in sorted(chosen, key=lambda each: each["instance_name"]):
            file = archive.extractfile(members[row["instance_name"]])
            assert file is not None
            optimum = int(row["OPT"])
            yield Known(
                row["instance_name"],
                parse_vbp(file.read().decode()),
                None if optimum < 0 else optimum,
                int(row["best_overall"]),
            )


def parse_vbp(text: str) -> Problem:
    """Return the problem of a `.vbp` file: dimensions, capacity, kinds, then size and demand.

    A few published sizes are negative; they count as 0, which makes the problem harder at most.
    """
    numbers = iter(map(int, text.split()))
    dimensions = next(numbers)
    capacity = tuple(next(numbers) for _ in range(dimensions))
    demands = []
    for place in range(next(numbers)):
        size = tuple(max(0, next(numbers)) for _ in range(dimensions))
        demands.append(Demand(f"item-{place}", next(numbers), size))
    resources = tuple(f"r{place}" for place in range(dimensions))
    return Problem(resources, tuple(demands), (HostKind("bin", capacity),))


def _halves(share: int, least: int) -> int:
    """Return the halves of a device that a share takes: two above a half, one from `least` on."""
    if share > _GPU - least:
        return 2
    return int(share >= least)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)

"""The plan file: its keys, its units, and what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InvalidConfig
from lab.planning import plan_file
from lab.planning.inventory import (
    CPUS,
    DISK_BYTES,
    GPUS,
    MEMORY_BYTES,
    NETWORK_BITS_PER_SECOND,
    Host,
    Service,
)
from lab.planning.plan_file import PlanFile

ROOT = Path(__file__).parents[3]
RUN = ROOT / "results" / "2026-11-29-vm"
GIB = 2.0**30
SERVICE = '[[service]]\nname = "web"\nreplicas = 3\ncpus = 1\n'
HOST = '[[host]]\nname = "node"\ncpus = 4\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a plan file beside which nothing is."""
    return tmp_path / "plan.toml"


def read(path: Path, text: str) -> PlanFile:
    path.write_text(text)
    return plan_file.read(path)


def test_a_service_and_a_host_need_few_keys(path: Path) -> None:
    file = read(path, SERVICE + HOST)
    assert file == PlanFile(
        path=path,
        services=(Service("web", 3, {CPUS: 1.0}),),
        hosts=(Host("node", {CPUS: 4.0}),),
        objective="hosts",
        currency="",
        growth={"web": 0.0},
        uncertain=(),
        inside=None,
        notes=(),
    )


def test_every_key_of_a_service_and_of_a_host_is_read(path: Path) -> None:
    file = read(
        path,
        """
        [plan]
        objective = "price"
        currency = "EUR"
        [[service]]
        name = "web"
        replicas = 3
        cpus = "250m"
        memory = "512 MiB"
        disk = "10 GB"
        network = "100 Mbit/s"
        gpus = 1
        resources = { licences = 2 }
        per-host = 2
        apart-from = ["db"]
        spread = "rack"
        max-skew = 2
        min-domains = 2
        hosts = ["node"]
        growth = "5 %"
        [[service]]
        name = "db"
        replicas = 0
        cpus = 0.5
        [[host]]
        name = "node"
        cpus = 4
        memory = "16 GiB"
        disk = "1 TB"
        network = "10 Gbit/s"
        gpus = 2
        resources = { licences = 10 }
        price = 99.5
        count = 7
        zone = "a"
        rack = "1"
        [[host]]
        name = "node"
        cpus = 8
        zone = "a"
        rack = "2"
        """,
    )
    assert file.objective == "price"
    assert file.currency == "EUR"
    assert file.growth == {"web": 0.05, "db": 0.0}
    assert file.services[0] == Service(
        name="web",
        replicas=3,
        requests={
            CPUS: 0.25,
            MEMORY_BYTES: 512 * 2.0**20,
            DISK_BYTES: 1e10,
            NETWORK_BITS_PER_SECOND: 1e8,
            GPUS: 1.0,
            "licences": 2.0,
        },
        per_host=2,
        apart_from=frozenset({"db"}),
        spread="rack",
        max_skew=2,
        hosts=frozenset({"node"}),
    )
    assert file.hosts[0] == Host(
        name="node",
        capacity={
            CPUS: 4.0,
            MEMORY_BYTES: 16 * GIB,
            DISK_BYTES: 1e12,
            NETWORK_BITS_PER_SECOND: 1e10,
            GPUS: 2.0,
            "licences": 10.0,
        },
        price=99.5,
        count=7,
        zone="a",
        rack="1",
    )


def test_a_host_with_zones_is_one_in_each(path: Path) -> None:
    file = read(path, SERVICE + HOST + 'count = 2\nzones = ["a", "b"]\n')
    assert file.hosts == (
        Host("node", {CPUS: 4.0}, count=2, zone="a"),
        Host("node", {CPUS: 4.0}, count=2, zone="b"),
    )


def test_head_room_is_added_to_requests_and_kept_free_on_hosts(path: Path) -> None:
    head = '[plan]\nhead-room = "10 %"\n'
    other = '[[host]]\nname = "other"\ncpus = 4\nhead-room = "0 %"\n'
    file = read(path, head + SERVICE + 'head-room = "50 %"\n' + HOST + other)
    assert file.services[0].requests == {CPUS: 1.5}
    assert [host.capacity[CPUS] for host in file.hosts] == [3.6, 4.0]


def test_what_a_host_reserves_is_taken_before_head_room(path: Path) -> None:
    text = HOST + 'memory = "8 GiB"\nreserved = { cpus = 0.5 }\nhead-room = "50 %"\n'
    assert read(path, SERVICE + text).hosts[0].capacity == {CPUS: 1.75, MEMORY_BYTES: 4 * GIB}


@pytest.mark.parametrize(
    ("months", "growth", "replicas"),
    [(0, "10 %", 100), (1, "10 %", 110), (2, "10 %", 121), (3, "1 %", 104), (12, "0 %", 100)],
)
def test_replicas_grow_to_the_month_that_is_planned_for(
    path: Path, months: int, growth: str, replicas: int
) -> None:
    text = SERVICE.replace("3", "100")
    file = read(path, f'[plan]\nmonths = {months}\ngrowth = "{growth}"\n{text}{HOST}')
    assert file.services[0].replicas == replicas


def test_a_service_grows_as_it_states(path: Path) -> None:
    file = read(path, f'[plan]\nmonths = 1\ngrowth = "50 %"\n{SERVICE}growth = "100 %"\n{HOST}')
    assert (file.services[0].replicas, file.growth) == (6, {"web": 1.0})


def test_a_measured_service_takes_what_the_run_measured(path: Path) -> None:
    measured = f'[[service]]\nname = "web"\nreplicas = 1\nmeasured = "{RUN}/microvm"\n'
    host = HOST + 'memory = "16 GiB"\n'
    file = read(path, measured + host)
    assert file.services[0].requests == {CPUS: 0.01668, MEMORY_BYTES: 162_900_000.0}
    assert [part.resource for part in file.uncertain] == [CPUS, MEMORY_BYTES]
    assert file.notes == (
        "The machines of 2026-11-29-vm were emulated (TCG): what they take under KVM is not known.",
    )
    stated = read(path, measured + 'memory = "1 GiB"\nhead-room = "100 %"\n' + host)
    assert stated.services[0].requests == {MEMORY_BYTES: 2 * GIB, CPUS: 0.03336}
    assert [(part.resource, part.factor) for part in stated.uncertain] == [(CPUS, 2.0)]


def test_paths_are_relative_to_the_plan_file(path: Path) -> None:
    (path.parent / "run").symlink_to(RUN)
    text = '[[service]]\nname = "web"\nreplicas = 1\nmeasured = "run/container"\n'
    file = read(path, text + HOST.replace("cpus = 4", 'memory = "1 GiB"'))
    assert file.services[0].requests == {MEMORY_BYTES: 779_800.0}
    assert file.notes == ()


def test_the_example_is_read() -> None:
    file = plan_file.read(ROOT / "examples" / "plan.toml")
    assert [service.name for service in file.services] == [
        "web", "api", "worker", "cache", "database",
    ]  # fmt: skip
    assert len(file.hosts) == 6
    assert len(file.notes) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[service", "is not valid TOML: "),
        ('plan = "x"', "plan: it must be a table, not a text in quotes."),
        ("[hosts]", "hosts is no table of a plan: use plan, wrapping, service, host, import."),
        ('service = "x"', "service must be tables: write [[service]] above each."),
        ("[service]", "service must be tables: write [[service]] above each."),
        ('[[service]]\nname = "web"', "service web: replicas is missing."),
        ("[[service]]\nreplicas = 1", "service 1: name is missing."),
        ('[[service]]\nname = "a\\u001b[2J"\nreplicas = 1', "'a\\x1b[2J' is not a printable name."),
        ("[[host]]\nname = { a = 1 }", "host 1: name: it must be a text in quotes, not a table."),
        (HOST + "price = 2026-01-01", "host node: price: it must be a number, not a date."),
        ('[plan]\nmonths = 120\ngrowth = "999 %"\n' + SERVICE,
         "service web: in 120 months its 3 replicas grow to more than 1,000,000,000: lower"),
        (SERVICE + 'memroy = "1 GiB"', "service web: memroy is no key that it can have."),
        (SERVICE.replace("3", "3.5"), "replicas: it must be a whole number, not a number."),
        (SERVICE.replace("3", "-3"), "service web: replicas is -3: it must be from 0 to"),
        (SERVICE.replace("3", "9" * 400), "service web: replicas is 999"),
        (SERVICE.replace("= 1", "= nan"), "service web: cpus: nan is not a finite number."),
        (SERVICE.replace("= 1", "= inf"), "service web: cpus: inf is not a finite number."),
        (SERVICE.replace("= 1", "= -1"), "service web: cpus: -1"),
        (SERVICE.replace("= 1", "= true"), "web: cpus: it must be a number or a text in quotes"),
        (SERVICE + "memory = 512", "service web: memory: 512.0 has no unit: write it as in"),
        (SERVICE + 'memory = "512 MX"', "service web: memory: '512 MX' has an unknown unit"),
        (SERVICE + 'growth = "5"', "service web: growth: '5' has no unit"),
        (SERVICE + 'growth = "1000 %"', "service web: growth: '1000 %' is too much"),
        (SERVICE + 'spread = "shelf"', "service web: spread: 'shelf' is unknown: use zone, rack."),
        (SERVICE + "max-skew = 2", "service web: max-skew without spread: add spread ="),
        (SERVICE + "min-domains = 2", "service web: min-domains without spread: add spread ="),
        (SERVICE + 'spread = "zone"\nmin-domains = 0', "service web: min-domains is 0: it must"),
        (SERVICE + 'spread = "zone"\nmin-domains = 2\n' + HOST + 'zone = "a"',
         "service web: min-domains is 2, but its hosts are in 1 zone."),
        (SERVICE + 'spread = "rack"\nmin-domains = 1\n' + HOST + 'zone = "a"',
         "service web: min-domains is 1, but its hosts are in 0 racks."),
        (SERVICE + "resources = { cpus = 1 }", "service web: resources: 'cpus' can't name a"),
        (SERVICE + "resources = { memory_bytes = 1 }", "resources: 'memory_bytes' can't name a"),
        (SERVICE + "resources = { x = -1 }", "service web: resources: x: -1"),
        (SERVICE.replace("cpus = 1", ""), "service web: it requests nothing: state cpus, memory"),
        (SERVICE + 'measured = "vm"', "service web: measured: 'vm' is no run's folder and target"),
        (SERVICE + 'measured = "nowhere/vm"', "service web: measured: "),
        (HOST.replace("cpus = 4", ""), "host node: it offers nothing: state cpus, memory or"),
        (HOST + 'zone = "a"\nzones = ["b"]', "host node: it has both zone and zones: remove one"),
        (HOST + "zones = []", "host node: zones must name one zone or more."),
        (HOST + 'zones = ["a", ""]', "host node: zones must name one zone or more."),
        (HOST + 'head-room = "100 %"', "host node: head-room: '100 %' is too much: it must be"),
        (HOST + "reserved = { cpus = 5 }", "host node: reserved: 5 CPUs is more than it has."),
        (HOST + 'reserved = { disk = "1 GB" }', "host node: reserved: 954 MiB of disk is more"),
        (HOST + "reserved = { cpu = 1 }", "host node: cpu is no key that it can have."),
        (HOST + 'price = "9"', "host node: price: it must be a number, not a text in quotes."),
        ("[plan]\nmonths = -1", "plan: months is -1: it must be from 0 to 120."),
        ("[plan]\nmonths = 121", "plan: months is 121: it must be from 0 to 120."),
        ('[plan]\nobjective = "fun"', "plan: objective: 'fun' is unknown: use hosts, price."),
        ('[plan]\nhead-room = "-5 %"', "plan: head-room: '-5 %' is negative."),
        ('[wrapping]\nkind = "box"\nrun = "x"', "wrapping: kind: 'box' is unknown: use container"),
        ('[wrapping]\nkind = "vm"', "wrapping: run is missing."),
        ('[[import]]\nexcel = "x"', "import 1: it needs one reader and its file: readers are"),
        ("[[import]]\nskip-broken = true", "import 1: it needs one reader and its file: readers"),
        ("[[import]]\nkubectl = []", "import 1: kubectl must be the path of a file, or a list"),
        ('[[import]]\nkubectl = "x"\nskip-broken = 1', "import 1: skip-broken must be true or"),
        ('[[import]]\nkubectl = "nowhere.json"', "import 1: "),
    ],
)  # fmt: skip
def test_a_fault_is_one_sentence_with_the_key(path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(path, text)
    assert str(raised.value).startswith(str(path))
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_plan_file_is_one_sentence(path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"plan\.toml can't be read: No such file or dir"):
        plan_file.read(path)

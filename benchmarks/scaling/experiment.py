"""A real small service beside its simulation: containers behind nginx, with load stepped up by wrk.

    python -m benchmarks.scaling.experiment --out results/scaling-DATE/experiment.json

Each container of ours has a server that works on one request at a time, for an exponential time
that it sleeps, so that the host's CPUs do not limit it. nginx gives a request to the server with
the fewest (least_conn). wrk asks from a network namespace of its own, with random pauses, so that
requests arrive nearly as a Poisson process. The service times of the simulation are those of single
requests, one after the other; its rates are those that wrk reached. Then wrk asks without a pause,
of one server up to all, which gives a curve for the Universal Scalability Law.

The simulation has one queue for all servers, where nginx queues a request before one of them: the
measured latencies are a little longer at high loads.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness
from benchmarks.harness import quiet_host
from lab import tables, units
from lab.errors import StartFailed
from lab.host import facts
from lab.network.isolated_network import IsolatedNetwork
from lab.scaling import arrivals, replications, scalability
from lab.scaling.autoscalers.fixed import FixedReplicas
from lab.scaling.distributions import Fixed, Samples
from lab.scaling.quantities import Period, Rate, Seconds
from lab.scaling.scenario import InstanceLimits, Scenario, ScenarioTable, Variant, VariantTable
from lab.scaling.start_times import Independent
from lab.userland.root_tree import build_tree
from runtime import Container, default_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SERVERS = 4
MEAN_SECONDS = 0.02
UTILIZATIONS = (0.3, 0.5, 0.7, 0.85)
_CONNECTIONS = 100
_SINGLE_REQUESTS = 50  # before each load and after the last, on a host that is not always the same
_GATEWAY, _PORT, _SERVER_PORT = "10.80.0.1", 8000, 8080
_READY_SECONDS = 10.0
_REPLICATIONS, _SIMULATED_SECONDS = 10, 300.0
_SERVER = """
use strict; use IO::Socket::INET;
my ($mean, $seed) = @ARGV; srand($seed); $SIG{PIPE} = "IGNORE";
my $listener = IO::Socket::INET->new(Listen => 1024, LocalPort => 8080, ReuseAddr => 1) or die;
while (my $client = $listener->accept) {
  my $request = "";
  while ($request !~ /\\r\\n\\r\\n/) { sysread($client, $request, 4096, length $request) or last }
  select(undef, undef, undef, -log(1 - rand) * $mean);
  print $client "HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\nConnection: close\\r\\n\\r\\nok\\n";
  close $client;
}
"""
_LUA = """
math.randomseed(tonumber(os.getenv("SEED")))
local pause = tonumber(os.getenv("PAUSE_MS"))
if pause > 0 then
  function delay() return -math.log(1 - math.random()) * pause end
end
function done(summary, latency, requests)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.status + summary.errors.timeout
  io.write(string.format('RESULT {"requests": %d, "microseconds": %d, "failed": %d, '
    .. '"mean": %f, "p50": %f, "p95": %f, "p99": %f}\\n', summary.requests, summary.duration,
    failed, latency.mean, latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """A measurement by wrk: requests per second, failures, and latencies in seconds."""

    per_second: float
    requests: int
    failed: int
    mean: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Step:
    """A load: the utilization that was aimed at, the measurement, and the predicted latencies."""

    utilization: float
    measured: Asked
    predicted: dict[str, float]


@dataclass(frozen=True, slots=True)
class Experiment:
    """The steps of the load, and the throughput of one server up to all when kept busy."""

    service_seconds: list[float]
    steps: list[Step]
    throughputs: dict[int, float]


def missing() -> str:
    """Return the reason why the experiment can't be run; empty if it can."""
    for program, package in (("nginx", "nginx-light"), ("wrk", "wrk"), ("ip", "iproute2")):
        if not shutil.which(program):
            return f"{program} is not installed: apt-get install {package}"
    return ""


def main() -> int:
    """Run the experiment, print it as a table, and write the record."""
    options = harness.parser(__doc__, rounds=1).parse_args()
    if why := missing():
        harness.say(why)
        return 2
    load = [os.getloadavg()[0]]
    with quiet_host() as scratch:
        result = run(scratch, seconds=6.0, seed=options.seed)
    load.append(os.getloadavg()[0])
    host = _host()
    lines = [
        f"{host['cpus']} CPUs {host['cpu_model']}, Linux {host['kernel']}; load average of the host"
        f" {load[0]:.1f} before and {load[1]:.1f} after: {_business(max(load), host['cpus'])}.",
        "",
        *table(result),
    ]
    print(*lines, sep="\n")
    harness.write_record(options.out, {"host": host, "load_average": load, **document(result)})
    if options.out:
        options.out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    return 0


def _business(load: float, cpus: int) -> str:
    return "other work kept the host busy" if load > cpus else "the host was idle otherwise"


def _host() -> dict[str, Any]:
    return {
        "cpus": facts.cpus(),
        "cpu_model": facts.cpu_model(),
        "memory_bytes": facts.memory_bytes(),
        "kernel": os.uname().release,
    }


def run(scratch: Path, seconds: float, seed: int) -> Experiment:
    """Start the service, measure each load for some seconds, and predict it."""
    with IsolatedNetwork() as network, ExitStack() as stack:
        addresses = []
        for number in range(SERVERS):
            container = stack.enter_context(_server(number, seed))
            network.attach(container.pid, "bridge")
            addresses.append(f"10.80.0.{11 + number}:{_SERVER_PORT}")
        stack.enter_context(_nginx(network, scratch, addresses))
        script = scratch / "steps.lua"
        script.write_text(_LUA)
        with network.at_peer():
            _wait_until_ready()
            service: list[float] = []
            asked = []
            for place, utilization in enumerate(UTILIZATIONS):
                service += _single_requests(_SINGLE_REQUESTS)
                mean = float(np.mean(service))
                pause = max(_CONNECTIONS * mean / (SERVERS * utilization) - mean, 0.0)
                asked.append(_wrk(script, SERVERS, _CONNECTIONS, pause, seconds, seed + place))
            service += _single_requests(_SINGLE_REQUESTS)
            throughputs = {
                count: _wrk(script, count, 4 * count, 0.0, seconds / 3, seed).per_second
                for count in range(1, SERVERS + 1)
            }
    steps = [
        Step(utilization, each, predict(each.per_second, service))
        for utilization, each in zip(UTILIZATIONS, asked, strict=True)
    ]
    return Experiment(service, steps, throughputs)


def predict(per_second: float, service: Sequence[float]) -> dict[str, float]:
    """Return the latencies that the simulation predicts for a rate."""
    table = ScenarioTable(
        duration=Period(_SIMULATED_SECONDS),
        objective=Period(1.0),
        warm_up=Seconds(10.0),
        arrivals=arrivals.Constant(rate=Rate(per_second)),
        service=Fixed(value=Seconds(float(np.mean(service)))),
        instance=InstanceLimits(concurrency=1),
        autoscaler=FixedReplicas(replicas=SERVERS),
        variant=[VariantTable(name="container", start=Fixed(value=Seconds(0.0)))],
    )
    rate = arrivals.through(np.zeros(1), np.array([per_second]), None)
    starts = Independent(Fixed(value=Seconds(0.0)))
    variants = (Variant("container", starts, 1.0, 0.0, None),)
    made = Scenario("experiment", table, rate, Samples(np.array(service)), None, variants)
    (result,) = replications.run(made, _REPLICATIONS, 1, processes=1).variants
    return {
        name: result.figures[f"latency-{name}"].centre or math.nan for name in ("p50", "p95", "p99")
    }


def table(result: Experiment) -> list[str]:
    """Return the loads, measured beside predicted, and the fitted law, as lines of Markdown."""
    rows = []
    for step in result.steps:
        asked = step.measured
        cells = [f"{asked.per_second:.1f} /s", f"{asked.requests}", f"{asked.failed}"]
        for name in ("p50", "p95", "p99"):
            measured, predicted = getattr(asked, name), step.predicted[name]
            cells.append(
                f"{units.quantity(measured, 'second')} / {units.quantity(predicted, 'second')}"
            )
        rows.append((units.share(step.utilization), *cells))
    headings = ("aimed at", "reached", "requests", "failed", "p50 measured / predicted",
                "p95", "p99")  # fmt: skip
    lines = tables.markdown(headings, rows)
    counts = [float(count) for count in result.throughputs]
    throughputs = list(result.throughputs.values())
    lines += ["", *tables.markdown(
        ("servers", "requests per second, kept busy"),
        [(f"{count:.0f}", f"{rate:.1f}") for count, rate in zip(counts, throughputs, strict=True)],
    )]  # fmt: skip
    if law := scalability.fit(counts, throughputs):
        interval = units.interval(law.contention.low, law.contention.high, "ratio")
        lines += ["", f"Universal Scalability Law: contention {law.contention.centre:.4f}"
                  f" ({interval})."]  # fmt: skip
    return lines


def document(result: Experiment) -> dict[str, Any]:
    """Return the result as a JSON document."""
    return {
        "servers": SERVERS,
        "mean_service_seconds": float(np.mean(result.service_seconds)),
        "service_seconds": [round(each, 6) for each in result.service_seconds],
        "steps": [asdict(step) for step in result.steps],
        "throughputs": result.throughputs,
    }


def _server(number: int, seed: int) -> Container:
    argv = ["perl", "-e", _SERVER, str(MEAN_SECONDS), str(seed * SERVERS + number)]
    name = f"tonnage-scaling-{os.getpid()}-{number}"
    return Container.run(name, default_spec(argv), [build_tree(harness.say)])


@contextmanager
def _nginx(network: IsolatedNetwork, scratch: Path, addresses: Sequence[str]) -> Iterator[None]:
    """Run nginx on the host side of the network: port 8000 + n is before the first n servers."""
    prefix = scratch / "nginx"
    prefix.mkdir()
    configuration = prefix / "nginx.conf"
    configuration.write_text(_configuration(prefix, addresses))
    with network.at_host():
        process = subprocess.Popen(
            ["nginx", "-p", prefix, "-c", configuration, "-e", prefix / "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _configuration(prefix: Path, addresses: Sequence[str]) -> str:
    temporary = "".join(
        f"{kind}_temp_path {prefix}/{kind}; "
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    pools = "".join(
        f"upstream first{count} {{ least_conn; "
        + "".join(f"server {address} max_fails=0; " for address in addresses[:count])
        + f"}} server {{ listen {_GATEWAY}:{_PORT + count} backlog=1024; location / {{ "
        f"proxy_pass http://first{count}; }} }}\n"
        for count in range(1, len(addresses) + 1)
    )
    return (
        f"daemon off; user root; worker_processes 1; pid {prefix}/pid;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; {temporary}\n{pools}}}\n"
    )


def _wait_until_ready() -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            _single_requests(4 * SERVERS)
        except (OSError, http.client.HTTPException, StartFailed) as error:
            if time.monotonic() > deadline:
                raise StartFailed(f"The service did not answer: {error}.") from error
            time.sleep(0.1)
        else:
            return


def _single_requests(count: int) -> list[float]:
    """Return the latencies of single requests, one after the other."""
    latencies = []
    connection = http.client.HTTPConnection(_GATEWAY, _PORT + SERVERS, timeout=5)
    try:
        for _ in range(count):
            begin = time.monotonic()
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise StartFailed(f"nginx answered with {answer.status}")
            latencies.append(time.monotonic() - begin)
    finally:
        connection.close()
    return latencies


def _wrk(
    script: Path, servers: int, connections: int, pause: float, seconds: float, seed: int
) -> Asked:
    """Ask the first servers, each connection with an exponential pause before each request."""
    url = f"http://{_GATEWAY}:{_PORT + servers}/"
    result = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{max(math.ceil(seconds), 1)}s", "--timeout", "10s",
         "-s", script, url],
        env={**os.environ, "PAUSE_MS": str(1000 * pause), "SEED": str(seed)},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("RESULT "))
    values = json.loads(line.removeprefix("RESULT "))
    return Asked(
        per_second=values["requests"] / values["microseconds"] * 1e6,
        requests=values["requests"],
        failed=values["failed"],
        **{name: values[name] / 1e6 for name in ("mean", "p50", "p95", "p99")},
    )


if __name__ == "__main__":
    sys.exit(main())

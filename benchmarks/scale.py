"""python -m benchmarks.scale: what limits a run on 1, 16 or 256 machines, by a model, and checked.

The model says how long each thing takes that a run needs, by what it costs (`Costs`, measured) and
what there is of it (`Machine`, `Provider`). All go on at the same time, so that the longest is how
long the run takes, and the limit. What it leaves out is checked by a simulation in virtual time: in
it every key of a seeded work is listed by each machine, and those of its shard pass through brain,
processors, requests, network and disk, each of which does one after the other.

    --check  compares both for works that are small enough; without it, the table of the model
"""

import argparse
import hashlib
import heapq
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks import report
from benchmarks.works import KB, MB

GB = 1_000_000_000
PART = 8 << 20
PAGE = 1000
MACHINES = (1, 16, 256)


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor time in seconds, as measured: see docs/scale.md."""

    key: float = 4e-6
    """Of a brain, to read a key out of its page, and to see whose it is."""
    deal: float = 41e-6
    """Of a brain, for an object of its own: to compare it, to deal it, and to take its file."""
    object: float = 0.3e-3
    """Of a mover, for an object: GET, HEAD, and a file."""
    byte: float = 1.0e-9
    """Of a mover, for a byte: with TLS, a CRC64NVME, and the write."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What each machine has."""

    cores: int = 8
    network: float = 1.25 * GB
    """Bytes a second."""
    disk: float = 2.0 * GB
    """Bytes a second that it can write."""
    requests: int = 256
    """In flight at most."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What a bucket gives, to all machines together, and what it costs."""

    name: str
    latency: float
    """Seconds to the first byte of an answer."""
    stream: float
    """Bytes a second of one answer."""
    rate: float
    """GETs and HEADs a second; infinite where none is published."""
    million_lists: float
    """Dollars."""
    million_reads: float
    """Dollars for GETs and HEADs."""


S3 = Provider("S3", 0.1, 85 * MB, 4 * 5_500, 5.00, 0.40)
"""In its region; four prefixes that S3 has made partitions of."""
R2 = Provider("R2", 0.06, 25 * MB, float("inf"), 4.50, 0.36)


@dataclass(frozen=True, slots=True)
class Load:
    """Objects of one size."""

    name: str
    count: int
    size: int
    """Bytes of each, on average."""

    @property
    def parts(self) -> int:
        """GETs for an object."""
        return max(1, -(-self.size // PART))


LOADS = (
    Load("10 million of 100 KB", 10_000_000, 100 * KB),
    Load("100,000 of 1 GB", 100_000, GB),
    Load("1 billion of 1 MB", 1_000_000_000, MB),
)


CHECKED = (
    Load("100,000 of 100 KB", 100_000, 100 * KB),
    Load("2,000 of 256 MB", 2_000, 256 * MB),
    Load("100,000 of 1 MB", 100_000, MB),
)
"""Small enough to be simulated in a minute."""


@dataclass(frozen=True, slots=True)
class Run:
    """A load on a number of machines, one shard each."""

    load: Load
    machines: int
    provider: Provider
    machine: Machine = Machine()
    costs: Costs = Costs()

    @property
    def lists(self) -> int:
        """LISTs of all machines: each sees every key."""
        return self.machines * -(-self.load.count // PAGE)

    @property
    def reads(self) -> int:
        """GETs, and a HEAD for each object."""
        return self.load.count * (self.load.parts + 1)

    @property
    def dollars(self) -> float:
        """The price of the requests."""
        provider = self.provider
        paid = self.lists * provider.million_lists + self.reads * provider.million_reads
        return paid / 1e6


# the model --------------------------------------------------------------------------------------


def largest(count: int, machines: int) -> float:
    """Return how many of the objects the largest shard has, as hashes spread them."""
    share = count / machines
    return share + math.sqrt(2 * share * math.log(machines))


def seconds(run: Run) -> dict[str, float]:
    """Return how long each thing takes that the machine with the largest shard needs."""
    load, machine, costs, provider = run.load, run.machine, run.costs, run.provider
    share = largest(load.count, run.machines)
    size = share * load.size
    waits = load.parts * provider.latency + load.size / provider.stream
    return {
        "listing": load.count * costs.key,
        "brain": load.count * costs.key + share * costs.deal,
        "processors": (share * costs.object + size * costs.byte) / machine.cores,
        "requests": run.reads / provider.rate,
        "latency": share * waits / machine.requests,
        "network": size / machine.network,
        "disk": size / machine.disk,
    }


def limit(run: Run) -> tuple[str, float]:
    """Return what limits a run, and how many seconds it takes."""
    found = seconds(run)
    name = max(found, key=lambda name: found[name])
    is_listing = name == "brain" and found["listing"] > found["brain"] / 2
    return "listing" if is_listing else name, found[name]


# the simulation ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Shard:
    """A machine on its way through its shard; all times are in seconds since the start."""

    parts: Iterator[tuple[float, int, bool]]
    """When the brain has dealt it, its bytes, and whether it is the first of its object."""
    slots: list[float]
    """When each request in flight ends."""
    cores: list[float]
    """When each processor is free."""
    network: float = 0.0
    disk: float = 0.0
    next: tuple[float, int, bool] = field(default=(0.0, 0, False))


def _wait(shard: _Shard, number: int, waiting: list[tuple[float, int]]) -> None:
    """Let the next part of a shard wait until it can be asked for, if there is one."""
    for found in shard.parts:
        shard.next = found
        heapq.heappush(waiting, (max(found[0], shard.slots[0]), number))
        return


def simulate(run: Run, seed: str = "scale") -> float:
    """Return how many seconds a run takes in the simulation."""
    draw = random.Random(f"{seed} {run.load.name}")
    spread = 0.8
    middle = math.log(run.load.size) - spread**2 / 2
    sizes = [int(draw.lognormvariate(middle, spread)) for _ in range(run.load.count)]
    own: list[list[tuple[int, int]]] = [[] for _ in range(run.machines)]
    for place, size in enumerate(sizes):
        own[shard_of(f"1hz/{place:09d}.parquet", run.machines)].append((place, size))
    shards = [
        _Shard(_dealt(run.costs, mine), [0.0] * run.machine.requests, [0.0] * run.machine.cores)
        for mine in own
    ]
    waiting: list[tuple[float, int]] = []
    for number, each in enumerate(shards):
        _wait(each, number, waiting)
    served, end = 0.0, run.load.count * run.costs.key
    while waiting:
        at, number = heapq.heappop(waiting)
        each = shards[number]
        _, _, is_first = each.next
        admitted = max(at, served)
        served = admitted + (1 + is_first) / run.provider.rate
        end = max(end, _fetch(run, each, admitted))
        _wait(each, number, waiting)
    return end


def _dealt(costs: Costs, mine: Sequence[tuple[int, int]]) -> Iterator[tuple[float, int, bool]]:
    """Yield the parts of a shard as the brain deals them: it handles one key after the other."""
    for dealt, (place, size) in enumerate(mine, 1):
        when = (place + 1) * costs.key + dealt * costs.deal
        for start in range(0, max(size, 1), PART):
            yield when, min(PART, size - start), start == 0


def _fetch(run: Run, shard: _Shard, admitted: float) -> float:
    """Let a part pass through a machine; return when it has ended."""
    _, size, is_first = shard.next
    machine, costs, provider = run.machine, run.costs, run.provider
    begins = admitted + provider.latency
    shard.network = max(shard.network, begins) + size / machine.network
    arrived = max(begins + size / provider.stream, shard.network)
    worked = max(shard.cores[0], begins) + is_first * costs.object + size * costs.byte
    heapq.heapreplace(shard.cores, worked)
    shard.disk = max(shard.disk, begins) + size / machine.disk
    ended = max(arrived, worked, shard.disk)
    heapq.heapreplace(shard.slots, ended)
    return ended


def shard_of(key: str, count: int) -> int:
    """Return the shard of a key, from 0, by the rule of `--shard`.

    `Shard.has` would have to be asked once for each of them.
    """
    digest = hashlib.sha256(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") % count


# the tables -------------------------------------------------------------------------------------


def model_table(loads: Sequence[Load], machines: Sequence[int]) -> str:
    """Return how long runs take, by what limits them, and what they cost."""
    rows: list[tuple[str, ...]] = [("objects", "machines", "S3", "dollars", "R2", "dollars ")]
    for load in loads:
        for number in machines:
            cells: list[str] = []
            for provider in (S3, R2):
                run = Run(load, number, provider)
                name, time = limit(run)
                cells += [f"{_time(time)}, {name}", f"{run.dollars:,.0f}"]
            rows.append((load.name, f"{number}", *cells))
    return report.aligned(rows)


def check_table(loads: Sequence[Load], machines: Sequence[int]) -> str:
    """Return the model beside the simulation."""
    rows: list[tuple[str, ...]] = [("objects", "machines", "", "limit", "model", "simulated", "")]
    for load in loads:
        for number in machines:
            for provider in (S3, R2):
                run = Run(load, number, provider)
                name, time = limit(run)
                found = simulate(run)
                cells = f"{number}", provider.name, name, f"{time:.2f} s", f"{found:.2f} s"
                rows.append((load.name, *cells, f"{found / time:.2f}"))
    return report.aligned(rows)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description="What limits a run on several machines."
    )
    parser.add_argument("--check", action="store_true", help="the model beside the simulation")
    options = parser.parse_args(argv)
    table = check_table(CHECKED, MACHINES) if options.check else model_table(LOADS, MACHINES)
    print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

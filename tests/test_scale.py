"""The model of docs/scale.md agrees with the simulation, and the real brain feeds movers."""

import sys
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.shards import Shard
from benchmarks import brain, scale
from benchmarks.brain import Bucket
from benchmarks.scale import GB, R2, S3, Load, Machine, Run, limit, simulate
from benchmarks.works import KB

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("run", "limited_by"),
    [
        (Run(Load("small", 20_000, 100 * KB), 1, R2), "latency"),
        (Run(Load("small", 20_000, 100 * KB), 16, S3), "requests"),
        (
            Run(Load("small", 20_000, 100 * KB), 1, S3, Machine(cores=1, requests=2048)),
            "processors",
        ),
        (Run(Load("tiny", 20_000, 100), 256, R2), "listing"),
        (Run(Load("tiny", 20_000, 100), 1, R2, Machine(cores=64, requests=9999)), "brain"),
        (Run(Load("large", 200, GB // 4), 1, S3), "network"),
        (Run(Load("large", 200, GB // 4), 1, S3, Machine(disk=GB / 5)), "disk"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_model_names_the_limit_and_how_long_it_takes(run: Run, limited_by: str) -> None:
    """The simulation of the same run takes as long, but for its beginning and its end."""
    name, seconds = limit(run)
    assert name == limited_by
    found = simulate(run)
    begins_and_ends = 4 * run.provider.latency + scale.PART / run.provider.stream
    assert 0.9 * seconds <= found <= 1.1 * seconds + begins_and_ends
    assert found == simulate(run)  # the same each time


@pytest.mark.parametrize("count", [1, 16, 256])
def test_simulated_machines_share_keys_as_shards_do(count: int) -> None:
    """The rule is the one of `--shard`."""
    for number in range(100):
        key = f"1hz/{number}.parquet"
        assert Shard(scale.shard_of(key, count) + 1, count).has(key)


def test_each_machine_lists_every_key_and_reads_its_own() -> None:
    """So more machines cost more LISTs, and no more GETs and HEADs."""
    one, many = (Run(Load("small", 10_000, 100 * KB), number, R2) for number in (1, 16))
    assert (one.lists, many.lists) == (10, 160)
    assert one.reads == many.reads == 20_000
    assert many.dollars - one.dollars == pytest.approx(150 * 4.50 / 1e6)


def test_the_tables_have_a_row_for_each_run() -> None:
    """One is the model for large loads, the other the model beside the simulation."""
    loads = [Load("small", 1_000, KB)]
    assert len(scale.model_table(loads, [1, 16]).splitlines()) == 2 + 2
    assert len(scale.check_table(loads, [1, 16]).splitlines()) == 2 + 2 * 2


@pytest.mark.skipif(sys.platform == "win32", reason="no movers there")
async def test_a_brain_takes_files_from_movers_that_fetch_nothing(tmp_path: Path) -> None:
    """The benchmark of the brain deals every object to simulated movers, and takes its file."""
    bucket = Bucket(1_500)
    with brain.simulated(0.0001):
        fed = await brain.run(pipeline.sync, bucket, 1_500, tmp_path / "dest", 2)
        planned = await brain.run(pipeline.plan, bucket, 1_500, tmp_path / "dest", 2)
    assert fed.rate > 0
    assert planned.rate == 0


@pytest.mark.parametrize(("movers", "rate"), [(1, 1000), (4, 4000), (16, 10_000)])
def test_movers_add_up_until_the_brain_is_busy(movers: int, rate: float) -> None:
    """By the model of one machine."""
    assert brain.model(movers, 0.001, 0.0001) == pytest.approx(rate)

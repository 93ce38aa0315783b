"""A plan of a plan: fewer transfers, and the figures of those."""

from dataclasses import replace

import pytest

from asyncsync.model import Compared, Reason, Route, UpToDate
from asyncsync.report import Plan, Tally
from tests.rigs.outcomes import failed, remote, transfer


@pytest.fixture
def plan() -> Plan:
    """A plan with two prefixes, one file that is up to date, and one failure."""
    plan = Plan(route=Route("https://host", "sensors", "/srv"), free_bytes=1000)
    plan.counted({"1hz/": 2})
    old = replace(transfer("1hz/b.parquet", 200, Reason.NEWER), replaces=150)
    new = [transfer("1hz/a.parquet", 100), transfer("fft/c.json", 4000)]
    plan.compared(Compared([*new, old], [UpToDate(remote("1hz/d"))], [failed("fft//e")]))
    plan.filtered({"fft/": 5})
    return plan


def keys(plan: Plan) -> list[str]:
    return [transfer.remote.key for transfer in plan]


def test_filtered_plan_has_figures_of_its_own(plan: Plan) -> None:
    """What was dropped counts as left out; the plan itself stays as it was."""
    before = {prefix: replace(tally) for prefix, tally in plan.tallies.items()}
    small = plan.filter(lambda transfer: transfer.remote.size < 1000)
    assert keys(small) == ["1hz/a.parquet", "1hz/b.parquet"]
    assert small.tallies == {
        "1hz/": Tally(2, 3, 1, 1, 0, 2, 300),
        "fft/": Tally(0, 1, left_out=6),
    }
    assert (small.growth, small.fits, plan.growth, plan.fits) == (150, True, 4150, False)
    assert (small.up_to_date, small.failed, small.route) == (1, 1, plan.route)
    assert str(small) == (
        "2 to download (1 new, 1 replaced; 300 B), 1 up to date, 1 failed, 6 left out; "
        "fits: 1 kB free"
    )
    assert (len(plan), plan.tallies) == (3, before)


def test_filtered_plan_is_filtered_again(plan: Plan) -> None:
    """What the first left out stays so."""
    newer = plan.filter(lambda transfer: transfer.reason is Reason.NEWER).only("1hz/")
    assert keys(newer) == ["1hz/b.parquet"]
    assert newer.total == Tally(2, 3, 0, 1, 0, 1, 200, left_out=7)


def test_filtered_plan_counts_what_else_it_says() -> None:
    """What is kept already, what goes to other disks; and nothing to delete."""
    plan = Plan(free_bytes=200)
    begun = [replace(transfer(f"{key}.parquet", 100), kept=40) for key in ("1hz/a", "fft/b")]
    plan.compared(Compared([*begun, transfer("fft/c.parquet", 300)], [], []))
    plan.removed("old.parquet", 5)
    plan.note_other_disks(frozenset({("fft",)}))
    assert (plan.growth, plan.elsewhere, plan.fits) == (420, 360, True)
    assert plan.to_do == "3 to download, 1 to delete"
    small = plan.filter(lambda transfer: transfer.remote.size == 100)
    assert (small.growth, small.elsewhere, small.fits) == (120, 60, True)
    assert small.unfinished == {"1hz/a.parquet": 40, "fft/b.parquet": 40}
    assert (small.total.bytes_kept, small.to_do) == (80, "2 to download")
    assert str(small.only("1hz/")) == (
        "1 to download (100 B, 40 B of it kept already), 0 up to date, 2 left out; fits: 200 B free"
    )
    mine = replace(plan, free_bytes=50).only("1hz/")
    assert (mine.growth, mine.elsewhere, mine.fits) == (60, 0, False)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["1hz/"], "ab"),
        (["*.json"], "c"),
        (["*.json", "1hz/a"], "ac"),
        (["fft/?.*", "nothing/"], "c"),
        (["*.js[a-o]n"], "c"),
        (["*.JSON"], ""),
        (["hz/"], ""),
        ([], ""),
    ],
)
def test_patterns_are_beginnings_or_globs(plan: Plan, patterns: list[str], found: str) -> None:
    """A glob has to match the whole key, and case matters to both."""
    names = [key.partition("/")[2][0] for key in keys(plan.only(*patterns))]
    assert sorted(names) == sorted(found)
    assert len(plan.only(*patterns)) == plan.only(*patterns).total.to_download == len(found)

"""The benchmark measures what it says it measures; how fast anything is, is never asserted."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import cases, chart, layers, measure, objects, report, targets, works
from benchmarks.cases import Case, Kind
from benchmarks.contenders import Command
from benchmarks.gateway import Profile
from benchmarks.listing import list_page
from benchmarks.objects import Entry
from benchmarks.results import CaseSummary, Summary
from benchmarks.tools import MissingToolError, find_nginx
from tests import ROOT

KEYS = ["a/1", "a/2", "a/b/3", "b", "c/1", "c/2", "d"]
FACTS: dict[str, object] = {"cores": 2, "date": "2026-01-01T00:00:00+00:00"}


def nginx_is_missing() -> bool:
    try:
        find_nginx()
    except MissingToolError:
        return True
    return False


def summary(contender: str, wall: float, *, peer: bool = False, verdict: str = "ok") -> Summary:
    requests = {"GET": 90, "HEAD": 90, "LIST": 20, "REFUSED": 20}
    return Summary(contender, peer, verdict, 3, wall, wall, 5e7, False, requests, None, None)


def case_summary(
    profile: str, work: str, *rows: Summary, kind: Kind = Kind.FETCH, count: int = 0, size: int = 0
) -> CaseSummary:
    case = Case(kind, profile, work, tuple(row.contender for row in rows))
    return CaseSummary(case, 0.1, list(rows), count, size)


def texts(drawing: str) -> set[str | None]:
    root = ElementTree.fromstring(drawing)  # noqa: S314 - the benchmark drew it itself
    return {element.text for element in root.iter()}


@pytest.mark.long
@pytest.mark.skipif(nginx_is_missing(), reason="needs nginx with its Lua module")
@pytest.mark.parametrize(
    ("chosen", "judged", "floors"),
    [
        (["empty", "small"], 13, {"floor get", "floor head", "floor md5"}),
        (["large"], 12, {"floor ranges", "floor ranges-md5"}),
        (["mixed"], 13, set()),
        (["keys", "keys-10k", "keys-100k", "keys-1m"], 6, set()),
    ],
    ids=["small", "large", "mixed", "keys"],
)
def test_the_quick_benchmark_measures_every_contender_of_every_case(
    tmp_path: Path, chosen: list[str], judged: int, floors: set[str]
) -> None:
    """All contenders end well and complete, and the results are written as JSON and SVG."""
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    command += [argument for work in chosen for argument in ("--work", work)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "quick.json").read_text())
    names = sorted(case["name"] for case in measured["cases"])
    assert names == sorted(case.name for case in cases.CASES if case.work in chosen)
    verdicts = {
        (case["name"], row["contender"]): row["verdict"]
        for case in measured["cases"]
        for row in case["rows"]
    }
    assert set(verdicts.values()) == {"ok"}, verdicts
    assert len(measured["targets"]) == judged
    assert {share["floor"] for share in measured["beside_floor"]} == floors
    assert "asyncsync" in texts((tmp_path / "quick.svg").read_text())


def test_works_are_the_same_in_every_run() -> None:
    """A work's keys and sizes are drawn from a fixed seed."""
    for make in works.QUICK.values():
        assert make() == make()


def test_works_are_as_large_as_they_say() -> None:
    """The works of the full benchmark have the promised counts, sizes and shapes."""
    small, large, mixed = works.small(), works.large(), works.mixed()
    assert len(small.objects) == 4_000
    assert {20_000 <= size <= 200_000 for size in small.objects.values()} == {True}
    assert len({key.partition("/")[0] for key in small.objects}) == 8
    assert sorted(large.objects.values()) == [128 << 20] * 12
    assert len({key.partition("/")[0] for key in large.objects}) == 4
    assert len(mixed.objects) == 600
    assert 1.4e9 < mixed.size < 1.6e9
    sizes = sorted(mixed.objects.values())
    assert sizes[-2] / sizes[0] > 10**4.9
    assert len(works.keys().objects) == 100_000


def test_written_files_hold_what_the_work_says(tmp_path: Path) -> None:
    """Every object becomes a file of its size, and no two files hold the same bytes."""
    work = works.small(16)
    works.write(work, tmp_path)
    assert measure.holds(tmp_path, work)
    contents = [(tmp_path / key).read_bytes()[:64] for key in work.objects]
    assert len(set(contents)) == 16


@pytest.mark.parametrize("damage", ["missing", "short", "extra"])
def test_an_incomplete_result_is_noticed(tmp_path: Path, damage: str) -> None:
    """A missing file, a short one and one too many each make the result incomplete."""
    work = works.small(8)
    works.write(work, tmp_path)
    path = tmp_path / next(iter(work.objects))
    if damage == "missing":
        path.unlink()
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.with_suffix(".partial").touch()
    assert not measure.holds(tmp_path, work)


def test_wrong_bytes_are_noticed(tmp_path: Path) -> None:
    """A file of the right size with one other byte is not equal."""
    work = works.small(8)
    for name in ("theirs", "ours"):
        works.write(work, tmp_path / name)
    assert measure.equals(tmp_path / "theirs", work, tmp_path / "ours")
    path = tmp_path / "theirs" / next(iter(work.objects))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not measure.equals(tmp_path / "theirs", work, tmp_path / "ours")


def test_what_the_asyncsync_folder_holds_is_no_result(tmp_path: Path) -> None:
    """State in hidden folders doesn't count."""
    work = works.small(8)
    works.write(work, tmp_path)
    (tmp_path / ".asyncsync").mkdir()
    (tmp_path / ".asyncsync" / "part").touch()
    assert measure.holds(tmp_path, work)


def test_a_run_is_measured_with_its_children(tmp_path: Path) -> None:
    """CPU seconds and peak memory are those of children as well."""
    code = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', sys.argv[1]]))"
    child = "x = bytearray(100_000_000); x[:] = b'1' * len(x)"
    run = measure.run(Command([sys.executable, "-c", code, child], {}), tmp_path, 30)
    assert run.verdict == "ok"
    assert run.wall >= run.cpu / 2 > 0
    assert run.peak > 100_000_000


def test_a_small_program_is_not_charged_for_the_starter(tmp_path: Path) -> None:
    """Peak memory is the program's own, not what the benchmark itself uses."""
    program = shutil.which("true")
    assert program
    ballast = b"1" * 100_000_000
    run = measure.run(Command([program], {}), tmp_path, 30)
    assert run.peak < 30_000_000 < len(ballast)


def test_a_run_over_its_limit_is_ended_and_told_apart(tmp_path: Path) -> None:
    """A program that doesn't end in time is killed and reported as over its limit."""
    program = shutil.which("sleep")
    assert program
    run = measure.run(Command([program, "60"], {}), tmp_path, 0.1)
    assert run.verdict == "over its limit"


def test_a_failing_program_is_reported_with_its_exit_code(tmp_path: Path) -> None:
    """Exit codes other than 0 are the verdict."""
    run = measure.run(Command([sys.executable, "-c", "raise SystemExit(7)"], {}), tmp_path, 30)
    assert run.verdict == "exit 7"


def test_a_program_can_be_given_a_terminal(tmp_path: Path) -> None:
    """With a terminal the program's standard error is one; without, it isn't."""
    code = "import sys; sys.exit(3 if sys.stderr.isatty() else 4)"
    command = Command([sys.executable, "-c", code], {})
    assert measure.run(command, tmp_path, 30, terminal=True).exit_code == 3
    assert measure.run(command, tmp_path, 30).exit_code == 4


def test_a_run_is_ended_at_its_first_file(tmp_path: Path) -> None:
    """The program is ended when a visible Parquet file is there, which counts as a good end."""
    destination = tmp_path / "destination"
    destination.mkdir()
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    path = str(destination / "a.parquet")
    command = Command([sys.executable, "-c", code, path], {})
    run = measure.run_to_first_file(command, tmp_path, 30, destination)
    assert run.verdict == "ok"
    assert run.first_file is not None
    assert 0 < run.first_file <= run.wall


@pytest.mark.parametrize("most", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("prefix", "delimiter", "after", "expected"),
    [
        ("", "", "", KEYS),
        ("", "", "a/2", ["a/b/3", "b", "c/1", "c/2", "d"]),
        ("", "", "bb", ["c/1", "c/2", "d"]),
        ("a/", "", "", ["a/1", "a/2", "a/b/3"]),
        ("", "/", "", ["a/", "b", "c/", "d"]),
        ("a/", "/", "", ["a/1", "a/2", "a/b/"]),
        ("", "/", "a/", ["b", "c/", "d"]),
        ("x", "/", "", []),
    ],
)
def test_the_listing_server_pages_as_s3_does(
    most: int, prefix: str, delimiter: str, after: str, expected: list[str]
) -> None:
    """However many entries a page holds, the pages together hold each entry once, in order."""
    found: list[str] = []
    while True:
        page = list_page(KEYS, prefix, delimiter, after, most)
        found += sorted(page.keys + page.prefixes)
        assert len(page.keys) + len(page.prefixes) <= most
        if not page.next_after:
            break
        after = page.next_after
    assert found == expected


def test_a_profile_can_be_described() -> None:
    """Latency, rate and requests a second make a profile of one's own."""
    assert Profile.parse("20:5:300") == Profile("20:5:300", 20, 5_000_000, 300)
    assert Profile.parse("wan").latency_ms == 60
    with pytest.raises(ValueError, match="nonsense"):
        Profile.parse("nonsense")


@pytest.mark.parametrize("name", ["wan", "20:5:300"])
def test_every_profile_exists_with_checksums(name: str) -> None:
    """With -r2 behind its name a profile is the same but for the checksums."""
    plain, as_r2 = Profile.parse(name), Profile.parse(f"{name}-r2")
    assert (plain.checksums, as_r2.checksums) == (False, True)
    assert replace(as_r2, name=name, checksums=False) == plain


def test_cases_are_chosen_by_all_that_is_named() -> None:
    """Work, profile, kind and contenders narrow the choice; an unknown pair is fetched."""
    chosen = cases.select(
        cases.CASES, works=["keys"], profiles=["wan"], kinds=["in step"], contenders=["rclone"]
    )
    assert [(case.name, case.contenders) for case in chosen] == [("wan keys, in step", ("rclone",))]
    own = cases.select(cases.CASES, works=["small"], profiles=["9:9:0"], kinds=[], contenders=[])
    assert [case.name for case in own] == ["9:9:0 small"]


def test_targets_compare_with_the_fastest_peer_that_ends_well() -> None:
    """A faster peer that failed doesn't count; what is missed is said to be missed."""
    fetched = case_summary(
        "wan",
        "small",
        summary("asyncsync", 6.0),
        summary("rclone", 10.0, peer=True),
        summary("s5cmd", 1.0, peer=True, verdict="exit 1"),
        summary("asyncsync response", 8.0),
    )
    of_peer, with_response, bad, memory = targets.judge([fetched])
    assert of_peer.measured == pytest.approx(0.6)
    assert of_peer.met
    assert with_response.measured == pytest.approx(0.8)
    assert not with_response.met
    assert bad.met
    assert memory.met


def test_targets_are_of_cases_that_are_measured() -> None:
    """Each work with a target is measured with the way of asyncsync that the target is for."""
    measured = {case.name: case for case in cases.CASES}
    for contender, bounds in targets.OF_BEST_PEER.items():
        for name in bounds:
            assert contender in measured[name].contenders
            assert "rclone tuned" in measured[name].contenders


def test_a_run_of_any_case_that_ends_badly_is_counted() -> None:
    """Each way of asyncsync has to end well; how the peers end is up to them."""
    rows = (
        summary("asyncsync", 1.0),
        summary("asyncsync head", 1.0, verdict="exit 1"),
        summary("rclone", 1.0, peer=True, verdict="exit 1"),
    )
    (bad,) = (
        target
        for target in targets.judge([case_summary("9:9:0", "small", *rows)])
        if target.figure == "runs that end badly"
    )
    assert (bad.measured, bad.met) == (1, False)


def test_a_throttled_run_is_judged_by_its_end_and_its_requests() -> None:
    """The minimum is what was answered; what was refused comes on top."""
    rows = (summary("asyncsync", 2.0), summary("rclone", 4.0, peer=True))
    judged = {
        target.figure: target
        for target in targets.judge([case_summary("throttled", "mixed", *rows)])
    }
    assert judged["runs that end badly"].met
    assert judged["requests / the minimum"].measured == pytest.approx(200 / 180)
    assert not judged["requests / the minimum"].met


def test_the_automatic_number_of_workers_is_compared_with_the_best_fixed_one() -> None:
    """It may take a tenth longer."""
    rows = (summary("asyncsync", 1.2), summary("asyncsync 8", 3.0), summary("asyncsync 64", 1.0))
    judged = targets.judge([case_summary("wan", "small", *rows)])
    assert [target.measured for target in judged if "fixed" in target.figure] == [1.2]


def test_each_way_is_compared_with_the_floor_that_does_the_same() -> None:
    """Proof of content beside the floor with MD5, and without MD5 where a CRC takes its place."""
    rows = (summary("asyncsync", 3.0), summary("floor head", 1.0), summary("floor md5", 2.0))
    (plain,) = layers.shares([case_summary("loop", "small", *rows)])
    assert (plain.floor, plain.wall, plain.cpu) == ("floor md5", 1.5, 1.5)
    (as_r2,) = layers.shares([case_summary("loop-r2", "small", *rows)])
    assert (as_r2.floor, as_r2.wall) == ("floor head", 3.0)
    assert layers.shares([case_summary("loop", "mixed", *rows)]) == []


def test_a_slope_leaves_out_what_every_run_takes() -> None:
    """An object costs what more of them take more, in milliseconds; a target is for that."""
    few = (summary("asyncsync", 3.0), summary("floor md5", 2.0))
    many = (summary("asyncsync", 13.0), summary("floor md5", 10.0))
    cases = [
        case_summary("loop", "small", *few, count=1000),
        case_summary("loop", "small-20k", *many, count=11_000),
    ]
    ours, floor = layers.slopes(cases)
    assert (ours.unit, ours.wall, ours.cpu_share) == ("ms an object", 1.0, 1.25)
    assert (floor.wall, floor.cpu_share) == (0.8, None)
    (target,) = (target for target in targets.judge(cases) if "floor" in target.figure)
    assert target.measured == pytest.approx(1.25)
    assert target.met
    assert "1.25" in report.growth([ours, floor])


def test_the_slope_of_large_objects_is_told_for_a_gib() -> None:
    """Bytes count there, and not objects."""
    cases = [
        case_summary("loop", "large", summary("asyncsync", 3.0), count=1, size=1 << 30),
        case_summary("loop", "large-6g", summary("asyncsync", 9.0), count=2, size=3 << 30),
    ]
    (slope,) = layers.slopes(cases)
    assert (slope.unit, slope.wall, slope.cpu_share) == ("s a GiB", 3.0, None)


def test_objects_are_read_as_they_were_described(tmp_path: Path) -> None:
    """Keys may have spaces; a file that is not complete does not have its name."""
    entries = [Entry(1, "etag", "AAAAAAAAAAA=", "a b/c"), Entry(0, "etag-2", "x", "d")]
    objects.write(tmp_path / "objects", entries)
    assert list(objects.read(tmp_path / "objects")) == entries
    assert [path.name for path in tmp_path.iterdir()] == ["objects"]


def test_costs_are_told_where_both_ways_were_measured() -> None:
    """Each proof is compared with the run that does without it, and only without it."""
    ways = {"asyncsync": 1.5, "asyncsync head": 1.2, "asyncsync response": 1.0}
    rows = [summary(name, wall) for name, wall in ways.items()]
    costs = targets.costs([case_summary("wan", "small", *rows)])
    assert [cost.what for cost in costs] == ["proof of the content", "validation by HEAD"]
    assert [cost.ratio for cost in costs] == pytest.approx([1.25, 1.2])
    assert targets.costs([case_summary("wan", "small", rows[0], rows[2])]) == []


def test_the_reports_show_every_contender() -> None:
    """Table, chart and targets name all that was measured; a failed run is shown as such."""
    case = case_summary(
        "wan",
        "small",
        summary("asyncsync", 1.0),
        summary("rclone", 2.0, peer=True),
        summary("aws s3 sync", 3.0, peer=True, verdict="over its limit"),
        summary("baseline sample", 500.0),
    )
    table = report.table([case])
    assert "over its limit" in table
    assert len({len(line) for line in table.splitlines()}) == 1
    shown = texts(chart.draw([case], FACTS))
    assert {"asyncsync", "rclone", "one by one", "2 s"} <= shown
    assert "aws s3 sync" not in shown

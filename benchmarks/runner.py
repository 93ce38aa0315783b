"""Runs the cases: work after work, profile after profile, the contenders of a case interleaved."""

import itertools
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import boto3

from benchmarks import gateway, measure, site
from benchmarks.cases import Case, Kind
from benchmarks.contenders import Contender, Source
from benchmarks.gateway import Gateway, Profile
from benchmarks.measure import Run
from benchmarks.site import Site
from benchmarks.tools import Peers
from benchmarks.works import Work

_SLOW_SECONDS = 30.0
"""A contender that takes longer is measured once: its place in the table is not in doubt."""


@dataclass(frozen=True, slots=True)
class Result:
    """A case and the runs of its contenders, by their names."""

    case: Case
    runs: dict[str, list[Run]]
    page_seconds: float | None
    """What one page of the listing takes when nothing else happens, where that was measured."""
    objects: int
    """How many the work has."""
    size: int
    """Bytes of the work."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that stays the same over all cases."""

    directory: Path
    """Where works, destinations and outputs are; several GB, best in memory."""
    peers: Peers
    contenders: dict[str, Contender]
    repeats: int
    keep: bool
    """Whether the works are left in `directory` for the next run."""

    def run(self, cases: Sequence[Case], works: dict[str, Callable[[], Work]]) -> Iterator[Result]:
        """Run the cases, those of one work and of one profile after each other."""
        order = list(works)
        cases = sorted(cases, key=lambda case: (order.index(case.work), case.profile))
        for name, of_work in itertools.groupby(cases, key=lambda case: case.work):
            work = works[name]()
            place = self.directory / f"{name}-{work.count}-{work.size}"
            _say(f"laying out {name}: {work.description}")
            with site.serve(work, place, self.peers) as served:
                for profile, of_profile in itertools.groupby(
                    of_work, key=lambda case: case.profile
                ):
                    scratch = self._scratch()
                    with gateway.serve(served, Profile.parse(profile), scratch) as gate:
                        for case in of_profile:
                            yield self._case(case, served, gate, scratch)
            if not self.keep:
                shutil.rmtree(place)
        shutil.rmtree(self.directory / "scratch", ignore_errors=True)

    def _scratch(self) -> Path:
        scratch = self.directory / "scratch"
        measure.clear(scratch)
        return scratch

    def _case(self, case: Case, served: Site, gate: Gateway, scratch: Path) -> Result:
        destination = scratch / "destination"
        source = Source(
            gate.endpoint_url,
            served.bucket,
            served.access_key_id,
            served.secret_access_key,
            gate.ca_file,
            served.objects,
            far=Profile.parse(case.profile).latency_ms > 0,
        )
        if case.kind is Kind.IN_STEP:
            shutil.rmtree(destination, ignore_errors=True)
            served.lay_out(destination)
        page = _page_seconds(source, gate) if case.kind is Kind.FIRST_FILE else None
        work = served.work
        runs_of = {name: list[Run]() for name in case.contenders}
        result = Result(case, runs_of, page, work.count, work.size)
        for repeat in range(self.repeats):
            for name, runs in result.runs.items():
                if runs and (not runs[-1].good or runs[-1].wall > _SLOW_SECONDS):
                    continue
                if case.kind is Kind.IN_STEP:
                    shutil.rmtree(destination / ".asyncsync", ignore_errors=True)
                else:
                    measure.clear(destination)
                gate.reset()
                run = self._run(case, self.contenders[name], source, destination, scratch)
                run = _with_requests(run, gate.requests())
                if run.exit_code == 0 and case.kind is not Kind.FIRST_FILE and not run.scaled:
                    run = replace(run, complete=_complete(case, run, served, destination, repeat))
                runs.append(run)
                _say(f"{case.name}: {name}: {run.wall:.2f} s, {run.verdict}")
        shutil.rmtree(destination, ignore_errors=True)
        return result

    def _run(
        self, case: Case, contender: Contender, source: Source, destination: Path, scratch: Path
    ) -> Run:
        command = contender.command(source, destination)
        if case.kind is Kind.FIRST_FILE:
            return measure.run_to_first_file(command, scratch, case.limit, destination)
        run = measure.run(command, scratch, case.limit, terminal=contender.terminal)
        if contender.sampled:
            output = (scratch / "output").read_text()
            left = re.search(r"left (\d+) files ([\d.]+) seconds", output)
            seconds = float(left[2]) if left else 0.0
            run = replace(run, wall=run.wall + seconds, scaled=seconds > 0)
        return run


def _with_requests(run: Run, requests: dict[str, int]) -> Run:
    wait = None
    if run.first_file is not None and "FIRST" in requests:
        wait = run.started_at + run.first_file - requests["FIRST"] / 1000
    return replace(run, requests=requests, first_wait=wait)


def _complete(case: Case, run: Run, served: Site, destination: Path, repeat: int) -> bool:
    """Return whether the run left what it should; bytes are compared after the first one."""
    if case.kind in {Kind.IN_STEP, Kind.PLAN}:
        return not run.requests.get("GET", 0)
    if not measure.holds(destination, served.work):
        return False
    return repeat > 0 or measure.equals(destination, served.work, served.files)


def _page_seconds(source: Source, gate: Gateway) -> float:
    """Return what a page of the listing takes on the wire, without the client's parsing."""
    client = boto3.client(
        "s3",
        endpoint_url=source.endpoint_url,
        aws_access_key_id=source.access_key_id,
        aws_secret_access_key=source.secret_access_key,
        region_name="auto",
        verify=str(source.ca_file),
    )
    gate.reset()
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=source.bucket)
    for _ in itertools.islice(pages, 10):
        pass
    requests = gate.requests()
    return requests["LIST_MS"] / requests["LIST"] / 1000


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""The check of what a sync would do: how much, and whether it fits."""

import asyncio
import os
from pathlib import Path

import pytest

from asyncsync.doctor import doctor, plan_check
from asyncsync.report import Finding, Verdict
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3
from tests.rigs.wrapped import on_a_disk, wrapped

pytestmark = pytest.mark.anyio

OBJECTS = {"1hz/a.parquet": b"data" * 100, "1hz/b.parquet": b"data" * 100_000}


async def planned(s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch, **given: object) -> Finding:
    """Return what the doctor says about the plan."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    findings: list[Finding] = []
    await doctor.examine(None, given, [], findings.append)
    return next(finding for finding in findings if finding.check == "plan")


async def test_plan_says_how_much_a_sync_would_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the objects that the options select, and that are not here."""
    async with ScriptedS3({**OBJECTS, "notes.txt": b"x"}) as s3:
        found = await planned(s3, monkeypatch, dest=tmp_path)
        assert found.verdict is Verdict.OK
        assert found.text == "2 to download (400 kB), which fits"
        s3.objects["../x.parquet"] = b""
        found = await planned(s3, monkeypatch, dest=tmp_path, exclude=["*/b*"])
    assert found.verdict is Verdict.WARNING
    assert found.text == (
        "1 to download (400 B), which fits; 1 skipped: `asyncsync plan` names them"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.row(149)
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 5, "wrong    plan        {dest}: not enough space: 8.39 MB needed, "),
        (["--no-space-check"], 0, "warning  plan        1 to download (8.39 MB); not eno"),
        (["--exclude", "*"], 0, "ok       plan        nothing to download"),
    ],
)
async def test_plan_that_cannot_fit_is_wrong(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    """The exit code is that of a sync, which would end so; without the check of space it begins."""
    dest = tmp_path / "disk"
    async with ScriptedS3({"a.parquet": bytes(8 << 20)}) as s3:
        wrapper = on_a_disk(dest, "size=4m")
        done = await wrapped(wrapper, s3.environment, "doctor", "--dest", str(dest), *arguments)
    assert done.code == code
    (line,) = [line for line in done.out.splitlines() if line[9:13] == "plan"]
    assert line.startswith(said.format(dest=dest))


async def test_plan_of_a_long_listing_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was listed by then is told, as the least that there is."""
    monkeypatch.setattr(plan_check, "PLAN_SECONDS", 2)  # for the first page, on a busy machine
    never = asyncio.Event()
    async with ScriptedS3(OBJECTS, page_size=1) as s3:
        s3.on_list = lambda request: Answer(until=never) if _goes_on(request) else None
        found = await planned(s3, monkeypatch, dest=tmp_path)
    assert found.verdict is Verdict.OK
    assert found.text.startswith("at least ")
    assert found.text.endswith(", which fits; `asyncsync plan` goes through all")


def _goes_on(request: Request) -> bool:
    """Return whether a request is for anything behind the first page."""
    return bool(request.token or request.start_after or request.delimiter)

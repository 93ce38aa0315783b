"""The documents agree with the program: options, settings, output, snippets, links."""

import ast
import asyncio
import inspect
import json
import re
import resource
import tomllib
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from types import FunctionType

import pytest

from asyncsync import __version__
from asyncsync.api import Given, GivenToSync
from asyncsync.cli.options import GROUPS
from asyncsync.doctor import doctor
from asyncsync.doctor.folder_checks import open_files
from asyncsync.errors import UnsafeKeyError
from asyncsync.model import Downloaded, Failed, Proof, Reason, RemoteObject, Transfer
from asyncsync.paths import Paths
from asyncsync.report import Finding, Report, Tally, Verdict, events, failure, report
from asyncsync.report import table as table_of
from asyncsync.settings import Options, load
from asyncsync.settings.sources import VARIABLES
from asyncsync.times import parse_time
from tests import ROOT
from tests import rows as fault_rows
from tests.rigs.bucket import Bucket
from tests.soak.document import table
from tests.test_architecture import ALLOWED, FLOOR, INNER, STAGES

README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
RELIABILITY = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
FAULTS = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
MEASURES = (ROOT / "docs/security-measures.md").read_text(encoding="utf-8")
DOCTOR = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
JSON_LINES = (ROOT / "docs/json.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]

OPTION_VARIABLES = {f"ASYNCSYNC_{option.name.upper()}" for option in fields(Options)}


def blocks(language: str, document: str = README) -> list[str]:
    """Return the code blocks of a language."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    return [block for name, block in fenced if name == language]


def rows(document: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its header."""
    table = document.partition(f"\n{heading}\n")[2].partition("|---")[2].partition("\n\n")[0]
    lines = table.splitlines()[1:]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def compiled(snippet: str) -> Callable[[], object]:
    """Return a snippet as a function; as a coroutine function if it awaits."""
    code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return FunctionType(code, {"__name__": "__main__"})


@pytest.fixture
def dotenv(bucket: Bucket, tmp_path: Path) -> Bucket:
    """A bucket with two objects, and an env file for it in the working directory."""
    bucket.put_many({"1hz/a.parquet": b"a", "root.parquet": b"root"})
    settings = bucket.server.environment().items()
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings))
    return bucket


# options and settings


def options() -> Iterator[tuple[str, str, str]]:
    """Yield group, option, and variable with its default, of each row of the tables of options."""
    for group in GROUPS:
        for row in rows(SETTINGS, f"### {group.capitalize()}"):
            option, _, variable = row[0].replace("`", "").partition("<br>")
            yield group, option, variable


def test_options_tables_are_the_help() -> None:
    """They have the same groups with the same options in the same order, each once."""
    known = [
        (group, f"{', '.join(option.names)} {option.metavar}".rstrip())
        for group, members in GROUPS.items()
        for option in members
    ]
    shown = [(group, option) for group, option, _ in options()]
    assert shown == [*dict.fromkeys(known)]


def test_options_tables_have_the_variables_and_defaults() -> None:
    """They are those of `Options`, in the form in which they are set."""
    documented = dict(variable.split("=") for _, _, variable in options() if variable)
    assert documented.keys() == OPTION_VARIABLES
    environ = dict.fromkeys(VARIABLES.values(), "")
    environ |= {"R2_ENDPOINT_URL": "https://host", "R2_BUCKET": "bucket"}
    environ |= {"R2_ACCESS_KEY_ID": "id", "R2_SECRET_ACCESS_KEY": "secret"}
    assert load(environ={**environ, **documented})[1] == Options()
    unset = {name for name, text in documented.items() if not text}
    assert unset == {"ASYNCSYNC_EXCLUDE", "ASYNCSYNC_BACKUP_DIR"}


def test_readme_names_every_r2_variable() -> None:
    """So that each setting is documented."""
    assert {name for name in VARIABLES.values() if f"`{name}`" not in README} == set()


def test_env_example_shows_every_setting() -> None:
    """Each has a comment above it; those that are required are not commented out."""
    flags = re.MULTILINE
    found = re.findall(r"^# .+\n(#?)([A-Z0-9_]+)=", ENV_EXAMPLE, flags)
    assert [name for _, name in found] == re.findall(r"^#?([A-Z0-9_]+)=", ENV_EXAMPLE, flags)
    assert {name for _, name in found} == {*VARIABLES.values(), *OPTION_VARIABLES}
    required = {name for mark, name in found if not mark}
    assert required == {"R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT_URL", "R2_BUCKET"}


def test_env_example_shows_the_defaults(tmp_path: Path) -> None:
    """Removing the comment signs changes nothing."""
    file = tmp_path / "example.env"
    file.write_text(re.sub(r"^#([A-Z])", r"\1", ENV_EXAMPLE, flags=re.MULTILINE))
    required = {"R2_ENDPOINT_URL": "https://host", "R2_BUCKET": "bucket"}
    required |= {"R2_ACCESS_KEY_ID": "id", "R2_SECRET_ACCESS_KEY": "secret"}
    assert load(file, environ=required) == load(environ=required)


@pytest.mark.parametrize("table", [Given, GivenToSync])
def test_keyword_arguments_are_described(table: type) -> None:
    """Each once, in the order of their types; those that download have more."""
    described = re.findall(r"^ {4}(\w+): ", inspect.getdoc(table) or "", re.MULTILINE)
    inherited = Given.__annotations__ if table is not Given else {}
    assert described == [name for name in table.__annotations__ if name not in inherited]


# output


def _tally(new: int, size: int) -> Tally:
    return Tally(in_bucket=new, missing=new, to_download=new, bytes_to_download=size)


def test_shown_run_is_what_the_program_prints() -> None:
    """The sync check and the summary, made again from their counts, are the same to the space."""
    figures = Report(
        tallies={
            "": _tally(1, 432),
            "1hz/": _tally(90, 7_829_453),
            "fft_hub1/": _tally(90, 267_200_000),
            "fft_hub2/": _tally(14, 790_072_908),
        },
        downloaded=195,
        downloaded_bytes=1_065_102_793,
        seconds=24.3,
    )
    shown = next(block for block in blocks("") if block.startswith("$ asyncsync\n"))
    assert shown.splitlines()[2:] == [*table_of(figures.tallies), report.sync_summary(figures)]
    again = Report(up_to_date=195, seconds=0.5)
    assert f"`{report.sync_summary(again)}`" in README


def test_shown_examination_is_what_the_doctor_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the same checks in the same order, and each line as it is printed."""
    block = next(block for block in blocks("", DOCTOR) if block.startswith("$ asyncsync doctor\n"))
    *lines, verdict = block.splitlines()[1:]
    assert [line[9:19].rstrip() for line in lines] == [check.name for check in doctor.CHECKS]
    findings = [
        Finding(line[9:19].rstrip(), Verdict(line[:7].rstrip()), line[21:]) for line in lines
    ]
    assert [doctor.format_finding(finding) for finding in findings] == lines
    assert doctor.verdict_line(findings) == verdict
    monkeypatch.setattr(resource, "getrlimit", lambda which: (1024, 4096))
    monkeypatch.setattr("asyncsync.descriptors._count_open", lambda: 10)
    assert lines[-1] == doctor.format_finding(Finding("open files", *open_files(Options())))


@pytest.mark.usefixtures("dotenv")
def test_shown_measurements_are_what_the_doctor_prints() -> None:
    """But for the figures; how fast several requests are is up to the machine."""
    findings: list[Finding] = []
    asyncio.run(doctor.examine(None, {}, [], findings.append))
    figure = r"[\d.]+( m?s\b)?"  # a busy machine takes seconds
    printed = {re.sub(figure, "0", doctor.format_finding(finding)) for finding in findings}
    block = next(block for block in blocks("", DOCTOR) if block.startswith("ok       listing "))
    shown = [re.sub(figure, "0", line) for line in block.splitlines()]
    # A busy machine takes so long for a HEAD that the line says how many of them that allows.
    printed = {line.partition("; with 0 requests at once")[0] for line in printed}
    assert set(shown[:-1]) <= printed
    assert shown[-1].startswith("ok       throughput  one request 0 MB/s, 0 at once 0 MB/s: ")


def test_shown_refusal_is_what_the_program_prints() -> None:
    """It is the line about a key without a safe path."""
    key = "../a.parquet"
    with pytest.raises(UnsafeKeyError) as caught:
        Paths().of(key)
    assert f"`{failure(Failed(RemoteObject(key, 1, '', 0), caught.value))}`" in README


def test_shown_json_is_what_the_program_prints() -> None:
    """With the same fields in the same order."""
    line = re.search(r'^{"event": "downloaded".*', JSON_LINES, re.MULTILINE)
    assert line
    shown = json.loads(line[0])
    remote = RemoteObject(shown["key"], shown["size"], shown["etag"], parse_time(shown["modified"]))
    transfer = Transfer(remote, tuple(shown["key"].split("/")), Reason.MISSING)
    proven = Proof.SIZE_AND_VERSION | Proof.MD5 | Proof.PARQUET
    done = Downloaded(transfer, 1, shown["seconds"], proven=proven)
    assert list(events.outcome_json(done).items()) == list(shown.items())


# snippets


@pytest.mark.parametrize("snippet", blocks("python"))
def test_snippet_runs(snippet: str, dotenv: Bucket, tmp_path: Path) -> None:
    """As a script or a notebook's cell, with an env file; all but the plan download."""
    ends_itself = "sys.exit(report.exit_code)" in snippet
    with pytest.raises(SystemExit, match=r"^0$") if ends_itself else nullcontext():
        result = compiled(snippet)()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    wanted = "asyncsync.plan(" not in snippet
    assert (tmp_path / "downloads/1hz/a.parquet").exists() == wanted


def test_readme_has_four_snippets() -> None:
    """Two for a notebook and two for a script."""
    assert len(blocks("python")) == 4


# documents


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    """The file exists, and so does the heading."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = document.parent / path if path else document
        assert file.exists(), target
        if not heading:
            continue
        headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
        assert heading in anchors, target


def test_architecture_names_every_module() -> None:
    """Each module is in the row of its folder, once, and there are no others."""
    named = [
        f"{room}{module}"
        for room, what in rows(ARCHITECTURE, "## The rooms")
        for module in re.findall(r"\w+\.py", what)
    ]
    package = ROOT / "asyncsync"
    modules = [path.relative_to(package).as_posix() for path in package.rglob("[a-z]*.py")]
    assert sorted(named) == sorted(modules)


def test_architecture_has_the_arrows() -> None:
    """Those that are checked, and no others."""
    drawn: dict[str, set[str]] = {}
    inner: dict[str, set[str]] = {}
    for cells in rows(ARCHITECTURE, "## The arrows"):
        targets = set(re.findall(r"[a-z]\w*(?=/|\.py)", cells[1]))
        targets |= STAGES if "all stages" in cells[1] else set()
        if found := re.fullmatch(r"disk/(\w+)/", cells[0]):
            inner[found[1]] = targets
        elif cells[0].startswith("inside `disk/`"):
            assert targets == {*INNER}
        else:
            drawn |= dict.fromkeys(re.findall(r"[a-z]\w*(?=/|\.py)", cells[0]), targets)
    assert drawn == {room: may - FLOOR for room, may in ALLOWED.items() if room not in FLOOR}
    assert inner == {room: may - {room} for room, may in INNER.items()}


def test_architecture_tells_the_way_of_modules_that_exist() -> None:
    """Each by its room."""
    ways = ARCHITECTURE.partition("## What else goes along it")[2].partition("\n## ")[0]
    modules = re.findall(r"`(\w+(?:/\w+)?\.py)`", ways)
    assert modules
    assert [name for name in modules if not (ROOT / "asyncsync" / name).exists()] == []


def test_table_of_faults_has_every_row() -> None:
    """Each row once, and in order."""
    numbers = re.findall(r"^\| (\d+) \|", FAULTS, re.MULTILINE)
    assert numbers == [str(row) for row in fault_rows.ROWS]


def test_table_of_faults_names_the_tests() -> None:
    """It names the tests with the row's mark; a row without a test gives the reason."""
    assert fault_rows.written(FAULTS) == FAULTS, "python -m tests.rows --write"
    assert re.findall(r"^\| \d+ \|[^|]*\|[^|]*\| *\|$", FAULTS, re.MULTILINE) == []


def test_security_measures_name_tests_that_exist() -> None:
    """Each names at least one."""
    for measure in MEASURES.split("\n## ")[1:]:
        assert re.search(r"`[\w/]+::test_\w+`", measure)
    for module, test in re.findall(r"`([\w/]+)::(test_\w+)`", MEASURES):
        source = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {test}(" in source, f"{module}::{test}"


def test_table_of_figures_is_that_of_the_results() -> None:
    """`make soak` writes both the table and the results."""
    results = json.loads((ROOT / "docs/reliability.json").read_text(encoding="utf-8"))
    assert table(results) in RELIABILITY
    assert results.keys() <= {f"G{number}" for number in range(1, 23)}


def test_promises_were_tried_as_often_as_they_tell() -> None:
    """At least, and none of the trials broke one."""
    results = json.loads((ROOT / "docs/reliability.json").read_text(encoding="utf-8"))
    told = re.findall(r"(\d[\d,]*) [^,(|]+ \((G\d+)\)", RELIABILITY.partition("## Exit codes")[0])
    assert len(told) == 14
    for trials, name in told:
        assert int(trials.replace(",", "")) <= results[name]["trials"], name
        assert results[name]["broken"] == 0, name


def test_picture_shows_what_the_program_draws() -> None:
    """It has the sync check's header, the bar of the whole run, and bars of objects."""
    picture = (ROOT / "docs/pictures/bars.svg").read_text(encoding="utf-8")
    lines = re.findall(r"<text [^>]*>([^<]*)</text>", picture)
    assert next(table_of({})).split() in [line.split() for line in lines]
    assert any(re.fullmatch(r"\d+/\d+ files", line) for line in lines)
    assert any(re.fullmatch(r"\S+\.parquet", line) for line in lines)


def test_changelog_has_this_version() -> None:
    """With a date, below the unreleased changes."""
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d", headings[1])


def test_patterns_of_the_source_distribution_match() -> None:
    """A pattern that matches nothing would be ignored silently."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [pattern for pattern in patterns if not (ROOT / pattern.strip("/")).exists()] == []

"""docs/recipes.md: each recipe is run as it stands there, and does what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from asyncsync.cli.arguments import given_options, parse_arguments
from tests import ROOT
from tests.rigs.blocks import blocks
from tests.rigs.bucket import Bucket
from tests.rigs.objects import readable_parquet

DOCUMENT = (ROOT / "docs/recipes.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "examples/Dockerfile").read_text(encoding="utf-8")
BLOCKS = [block for block in blocks() if block.document == "docs/recipes.md"]

ODD = "1hz/2026/01/b [1]* 'c'\n\"d\".parquet"
KEYS = ["1hz/2026/01/a.parquet", "1hz/2026/02/a.parquet"]
"""Each has two rows."""

needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")


def recipe(heading: str, language: str) -> str:
    """Return the first block below a heading."""
    line = DOCUMENT[: DOCUMENT.index(f"\n## {heading}\n")].count("\n")
    return next(b.text for b in BLOCKS if b.line > line and b.language == language)


@pytest.fixture
def stock(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket with two files, and an env file for it in the working folder."""
    monkeypatch.setenv("ASYNCSYNC_PARQUET_CHECK", "yes")
    bucket.put_many(dict.fromkeys(KEYS, readable_parquet()))
    settings = bucket.server.environment().items()
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings))
    (tmp_path / ".env").chmod(0o600)
    return bucket


def environment() -> Mapping[str, str]:
    """Return one in which asyncsync is on the path."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def python(heading: str) -> str:
    """Run a recipe as a script, warnings being errors, and return what it prints."""
    Path("recipe.py").write_text(recipe(heading, "python"), encoding="utf-8")
    command = [sys.executable, "-W", "error", "recipe.py"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def sh(heading: str) -> subprocess.CompletedProcess[str]:
    """Run a recipe as a shell does."""
    command = ["sh", "-c", recipe(heading, "sh")]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)


def rows(database: str = "sensors.duckdb") -> dict[str, int]:
    """Return how many rows the table has of each file, by the part of its path that is its key."""
    with duckdb.connect(database) as opened:
        found = opened.execute("select filename, count(*) from readings group by all").fetchall()
    return {name.partition("/downloads/")[2]: count for name, count in found}


def test_duckdb_has_the_rows_of_each_file_once(stock: Bucket, tmp_path: Path) -> None:
    """Also of one that was replaced, of one with an odd name, and of those without a report."""
    python("New files into DuckDB")
    assert rows() == dict.fromkeys(KEYS, 2)
    (tmp_path / "downloads" / KEYS[0]).unlink()
    stock.put(ODD, readable_parquet())
    python("New files into DuckDB")
    assert rows() == dict.fromkeys([*KEYS, ODD], 2)
    stock.put("1hz/b.parquet", readable_parquet())
    subprocess.run([sys.executable, "-m", "asyncsync", "--quiet"], check=True, timeout=60)
    python("New files into DuckDB")
    assert rows() == dict.fromkeys([*KEYS, ODD, "1hz/b.parquet"], 2)


def test_polars_reads_what_is_new(stock: Bucket) -> None:
    """And nothing where nothing is."""
    pytest.importorskip("polars")
    stock.put(ODD, readable_parquet())
    assert "shape: (3, 2)" in python("New files into Polars")
    assert python("New files into Polars") == ""


def test_pandas_reads_what_is_new(stock: Bucket) -> None:
    """With the keys of the files, and then all that is here."""
    pytest.importorskip("pandas")
    stock.put(ODD, readable_parquet())
    printed = python("From pandas")
    assert [printed.count(key) for key in KEYS] == [2, 2]
    assert printed.endswith("\n6 rows are here\n")
    assert python("From pandas") == "6 rows are here\n"


def test_pool_works_on_each_new_file(stock: Bucket) -> None:
    """In processes of its own; a failure is printed."""
    stock.put("1hz/broken.parquet", b"not Parquet")
    failed, *counted = sorted(python("A pool of processes").splitlines(), reverse=True)
    assert failed.startswith("failed: 1hz/broken.parquet ")
    assert [line.partition("/downloads/")[2] for line in reversed(counted)] == KEYS
    assert all(line.startswith("2 /") for line in counted)


def test_files_are_read_from_the_disk_or_else_from_the_bucket(stock: Bucket) -> None:
    """The rows of both are there, in pandas and in DuckDB, and nothing else was downloaded."""
    pytest.importorskip("pandas")
    pytest.importorskip("s3fs")
    printed = python("From the disk, or else from the bucket")
    assert len(re.findall(r"^\d +2026-\S+ \S+ +0\.\d+$", printed, re.MULTILINE)) == 4
    assert re.search(r"│ +4 │", printed)
    here = [path.relative_to("downloads") for path in Path("downloads").rglob("*.parquet")]
    assert here == [Path(KEYS[0])]


def test_what_is_on_the_disk_is_not_read_from_the_bucket(tmp_path: Path) -> None:
    """Its bytes and its size are those of the file here; of others, they are the object's."""
    pytest.importorskip("s3fs")
    from fsspec.implementations.dirfs import DirFileSystem
    from fsspec.implementations.local import LocalFileSystem
    from fsspec.implementations.memory import MemoryFileSystem

    text = recipe("From the disk, or else from the bucket", "python")
    names: dict[str, Any] = {}
    exec(text.partition("\nsettings = ")[0], names)  # noqa: S102 - it is the recipe
    bucket = MemoryFileSystem()
    for key in KEYS:
        bucket.pipe(f"/recipes/{key}", b"object")
    (tmp_path / KEYS[0]).parent.mkdir(parents=True)
    (tmp_path / KEYS[0]).write_bytes(b"here")
    disk = DirFileSystem(str(tmp_path), LocalFileSystem())
    files = names["Nearest"](disk, DirFileSystem("/recipes", bucket))
    assert sorted(files.glob("1hz/**/*.parquet")) == KEYS
    assert [files.cat_file(f"nearest://{key}") for key in KEYS] == [b"here", b"object"]
    assert [files.size(key) for key in KEYS] == [4, 6]
    assert files.modified(KEYS[0]) == disk.modified(KEYS[0])


@needs_jq
def test_program_is_called_for_each_new_file(stock: Bucket) -> None:
    """Once, whatever its name is."""
    stock.put(ODD, readable_parquet())
    done = sh("Each new file to a program")
    assert (done.returncode, done.stderr) == (0, "")
    for key in [*KEYS, ODD]:
        assert f"downloads/{key}\n" in done.stdout
    assert sh("Each new file to a program").stdout == ""


@needs_jq
def test_figures_replace_those_of_the_run_before(stock: Bucket) -> None:
    """Each is a name and a number, and no half file is left."""
    for downloaded in (2, 0):
        done = sh("Figures for Prometheus")
        assert (done.returncode, done.stderr) == (0, "")
        lines = Path("asyncsync.prom").read_text().splitlines()
        figures = dict(line.split() for line in lines)
        assert all(re.fullmatch(r"asyncsync_[a-z_]+ [\d.]+", line) for line in lines)
        assert figures["asyncsync_downloaded"] == str(downloaded)
        assert figures["asyncsync_exit_code"] == "0"
        assert float(figures["asyncsync_ended_timestamp_seconds"]) > 1.7e9
    assert list(Path().glob("*.prom*")) == [Path("asyncsync.prom")]


@needs_jq
def test_figures_stay_where_a_run_cannot_begin(tmp_path: Path) -> None:
    """So their time gets old; the reason is printed."""
    Path("asyncsync.prom").write_text("before")
    assert "settings are missing" in sh("Figures for Prometheus").stderr
    assert [path.read_text() for path in Path().glob("*.prom*")] == ["before"]


def test_dockerfile_copies_all_that_an_installation_needs(tmp_path: Path) -> None:
    """And nothing else: neither an env file nor data gets into the image."""
    source = tmp_path / "source"
    source.mkdir()
    copied = re.findall(r"^COPY (?!--from)(.+) (\S+)$", DOCKERFILE, re.MULTILINE)
    assert copied == [("pyproject.toml README.md LICENSE", "./"), ("asyncsync", "asyncsync")]
    for names, _ in copied:
        for name in names.split():
            path = ROOT / name
            shutil.copytree(path, source / name) if path.is_dir() else shutil.copy(path, source)
    target = tmp_path / "target"
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", f"--target={target}"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, *options, source], check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "asyncsync", "--version"],
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("asyncsync ")
    assert (target / "bin/asyncsync").exists()  # what ENTRYPOINT names
    assert json.loads(re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE)[0]) == [
        "/opt/asyncsync/bin/asyncsync"
    ]


def test_containers_mount_what_a_run_needs() -> None:
    """An env file and the default destination, where the image has its working folder."""
    (folder,) = re.findall(r"^WORKDIR (/srv)$", DOCKERFILE, re.MULTILINE)
    *_, run = recipe("In a container", "").splitlines()
    compose = recipe("In a container", "yaml")
    for mounts in (re.findall(r'-v "\$PWD/(\S+?)"', run), re.findall(r"- \./(\S+)", compose)):
        assert mounts == [f".env:{folder}/.env:ro", f"downloads:{folder}/downloads"]
    (command,) = re.findall(r"command: (.+)", compose)
    given_options(parse_arguments(shlex.split(command)))

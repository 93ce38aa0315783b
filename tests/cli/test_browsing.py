"""`ls`, `du` and `get` from the command line: what they print, and how they end."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from asyncsync.errors import AuthError, ListingError
from asyncsync.model import Page, RemoteObject
from tests.rigs.bucket import Bucket
from tests.rigs.called import OBJECTS, Ran, Run
from tests.rigs.child import asyncsync
from tests.rigs.memory_store import MEMORY, Act, MemoryStore
from tests.rigs.watch import snapshot

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX ones")
LARGE = os.urandom(1_000_003) * 20


def rows(text: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in text.splitlines()]


# ls ---------------------------------------------------------------------------------------------


def test_ls_prints_time_size_state_and_key(store: MemoryStore, run: Run) -> None:
    """The key is the last word, as it is in the bucket; nothing is made at the destination."""
    ran = run("ls")
    assert ran == Ran(
        0,
        "                         folder           1hz/\n"
        "2023-11-14T22:13:23Z        4 B  missing  root.parquet\n",
        "",
    )
    assert not Path("downloads").exists()


def test_ls_shows_what_is_here(store: MemoryStore, run: Run) -> None:
    """After a sync all is; what is replaced in the bucket is changed."""
    run("--no-progress")
    store.put("1hz/a.parquet", b"new")
    before = snapshot(Path("downloads"))
    ran = run("ls", "-r")
    assert [(row[-2], row[-1]) for row in rows(ran.out)] == [
        ("changed", "1hz/a.parquet"),
        ("here", "1hz/b.parquet"),
        ("here", "root.parquet"),
    ]
    assert snapshot(Path("downloads")) == before
    assert run("ls", "--recursive", f"s3://{MEMORY.bucket}/1hz/", "downloads").out == "".join(
        f"{line}\n" for line in ran.out.splitlines()[:2]
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--depth 0", "'0' is not a number from 1 to 100"),
        ("--depth 101", "not a number"),
        ("--depth x", "not a number"),
        ("--depth -1", "not a number"),
        ("--depth 1 -r", "does not go with --recursive"),
    ],
)
def test_depth_is_a_number_of_levels(store: MemoryStore, run: Run, options: str, why: str) -> None:
    """Nothing is requested otherwise."""
    ran = run("ls", *options.split())
    assert (ran.code, ran.out) == (2, "")
    assert f"asyncsync: --depth: {why}" in ran.err or why in ran.err
    assert store.requests == []


def test_ls_says_what_is_left_out(store: MemoryStore, run: Run) -> None:
    """Nobody should take what is shown for all that there is."""
    store.put("notes.txt", b"n")
    ran = run("ls", "--json")
    assert ran.err == ""
    assert ran.events[-1]["left_out"] == 1
    said = "asyncsync: 1 object left out by name, age or size; --include '*' takes all names\n"
    assert run("ls").err == said
    assert run("ls", "--include", "*").err == ""


def test_prefix_that_matches_nothing_is_3(store: MemoryStore, run: Run) -> None:
    """The message guesses what was meant."""
    for command in ("ls", "du"):
        assert run(command, "zzz") == Ran(
            3,
            "",
            "asyncsync: nothing under prefix zzz: no key begins with it; `asyncsync ls` shows "
            "what there is\n",
        )
        assert f"did you mean s3://{MEMORY.bucket}/1hz/?" in run(command, "sensors/1hz/").err
    assert run("ls", "1hz/", "zzz").code == 3


@pytest.mark.parametrize("words", ["get 1hz/bbbbbbbbbbbbb", "ls 1hz/bbbbbbbbbbbbbbbb"])
def test_long_messages_are_wrapped_in_a_terminal(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """At words, as those of a sync."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    ran = run(*words.split(), "--no-progress" if words.startswith("get") else "-r")
    first, *others = ran.err.splitlines()
    assert first.startswith("asyncsync: ")
    assert others
    assert all(line.startswith("  ") for line in others)
    assert max(map(len, [first, *others])) <= 40


def test_empty_bucket_is_told(store: MemoryStore, run: Run) -> None:
    """It is no error."""
    for key in OBJECTS:
        store.delete(key)
    for command in ("ls", "du"):
        assert run(command) == Ran(0, "", "asyncsync: nothing in the bucket: it is empty\n")


def test_hostile_key_is_shown_harmlessly(store: MemoryStore, run: Run) -> None:
    """It steers no terminal, and makes no second line."""
    store.put("a\x1b[2J\nb.parquet", b"evil")
    store.put("\x1b[31m/b.parquet", b"evil")
    ran = run("ls")
    assert "a\\x1b[2J\\nb.parquet" in ran.out
    assert "\\x1b[31m/" in ran.out
    assert len(ran.out.splitlines()) == 4
    assert "\\x1b[31m/" in run("du").out


def test_object_without_a_size_has_none_in_the_list(store: MemoryStore, run: Run) -> None:
    """Nor a time that the listing does not tell."""
    store.always("list", "", Act(page=Page([RemoteObject("a.parquet", -1, "", 0)], [], "")))
    assert rows(run("ls").out) == [["?", "refused", "a.parquet"]]
    assert run("ls", "--json").events[1]["size"] is None
    assert rows(run("du").out)[1] == ["1", "0", "B", "0", "0", "0", "B", "(root)"]


@pytest.mark.parametrize("command", ["ls", "du"])
def test_listing_that_fails_is_4(store: MemoryStore, run: Run, command: str) -> None:
    """What is known by then is not printed as if it were all."""
    store.always("list", "", Act(error=ListingError("broken")))
    ran = run(command)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "asyncsync: the bucket: broken (exit code 4)\n"
    assert run(command, "--json").events[-1]["error"] == "the bucket: broken"


# du ---------------------------------------------------------------------------------------------


def test_du_prints_figures_by_folder(store: MemoryStore, run: Run) -> None:
    """The total comes last."""
    run("--no-progress", "1hz/")
    assert run("du") == Ran(
        0,
        "objects  size  here  to download  bytes  prefix\n"
        "      1   4 B     0            1    4 B  (root)\n"
        "      2   3 B     2            0    0 B  1hz/\n"
        "      3   7 B     2            1    4 B  total\n",
        "",
    )


# json -------------------------------------------------------------------------------------------


def test_json_has_one_object_a_line(store: MemoryStore, run: Run) -> None:
    """A start comes first, and an end last."""
    store.put("a//b.parquet", b"odd")
    lines = {
        "ls": ["start", "folder", "folder", "object", "end"],
        "ls -r": ["start", "object", "object", "object", "object", "end"],
        "du": ["start", "usage", "usage", "usage", "end"],
        "ls zzz": ["start", "end"],
        "du zzz": ["start", "end"],
    }
    for line, kinds in lines.items():
        events = run(*line.split(), "--json").events
        assert [event["event"] for event in events] == kinds
    assert run("ls", "1hz/", "--json").events[1] == {
        "event": "object",
        "key": "1hz/a.parquet",
        "size": 1,
        "etag": store.remote("1hz/a.parquet").etag,
        "modified": "2023-11-14T22:13:21Z",
        "state": "missing",
    }
    sums = {
        "command": "du",
        "exit_code": 0,
        "error": "",
        "objects": 4,
        "bytes": 10,
        "here": 0,
        "to_download": 3,
        "bytes_to_download": 7,
        "left_out": 0,
        "unmatched": [],
        "absent": [],
    }
    assert run("du", "--json").events[-1] == {"event": "end", **sums}
    assert run("ls", "-r", "--json").events[-1] == {"event": "end", **sums, "command": "ls"}


# get --------------------------------------------------------------------------------------------


def test_get_writes_the_object_here(store: MemoryStore, run: Run) -> None:
    """Under the last part of its key; and says what is proven of it."""
    ran = run("get", "1hz/b.parquet")
    assert ran == Ran(0, "1hz/b.parquet (2 B; proven: size, version, md5) -> b.parquet\n", "")
    assert Path("b.parquet").read_bytes() == b"bb"
    assert not Path("downloads").exists()
    assert run("get", "-q", "1hz/b.parquet", "sub/x") == Ran(0, "", "")
    assert Path("sub/x").read_bytes() == b"bb"


def test_quiet_get_tells_only_what_is_urgent(store: MemoryStore, run: Run) -> None:
    """An object without a strong ETag is told of otherwise."""
    store.set_etag("root.parquet", "")
    assert "no strong ETag" in run("get", "root.parquet", "--no-progress").err
    assert run("get", "root.parquet", "-q") == Ran(0, "", "")


@pytest.mark.parametrize("key", ["1hz/b.parquet", f"s3://{MEMORY.bucket}/1hz/b.parquet"])
def test_get_prints_nothing_but_the_object(store: MemoryStore, run: Run, key: str) -> None:
    """On standard output; whatever options of a sync the environment has."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ASYNCSYNC_STRIP_PREFIX", "yes")
        environment.setenv("ASYNCSYNC_INCREMENTAL", "yes")
        assert run("get", key, "-") == Ran(0, "bb", "")
    assert os.listdir() == []


def test_get_prints_no_byte_that_is_not_proven(store: MemoryStore, run: Run) -> None:
    """The exit code and the message say what is wrong."""
    store.always("get", "1hz/b.parquet", Act(body=b"xx"))
    ran = run("get", "1hz/b.parquet", "-")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("asyncsync: 1hz/b.parquet: the MD5 of its bytes is ")
    assert ran.err.endswith(" (exit code 1)\n")


def test_get_of_a_key_that_is_not_there_is_3(store: MemoryStore, run: Run) -> None:
    """The nearest key is named."""
    ran = run("get", "1hz/c.parquet")
    assert ran == Ran(
        3,
        "",
        "asyncsync: 1hz/c.parquet: no such key; did you mean 1hz/b.parquet? (exit code 3)\n",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "names no object; write asyncsync get KEY [PATH|-]"),
        ([""], "names no object"),
        (["a", "b", "c"], "takes no c; write asyncsync get KEY [PATH|-]"),
        (["a", "s3://bucket/b"], "'s3://bucket/b' is no local path"),
        (["a", ""], "'' is no local path"),
        (["s3://bucket"], "names a bucket and no object"),
        (["s3://bucket/"], "names a bucket and no object"),
        (["1hz/"], "1hz/ is the name of a folder; `asyncsync ls 1hz/` lists"),
        (["a", "/dev/null"], "/dev/null is no file; name another, or - for standard output"),
    ],
)
def test_get_names_what_is_wrong_with_its_words(
    store: MemoryStore, run: Run, words: list[str], why: str
) -> None:
    """Before any request."""
    ran = run("get", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("asyncsync: get: ")
    assert why in ran.err
    assert store.requests == []


def test_get_that_cannot_write_is_5(store: MemoryStore, run: Run) -> None:
    """The hints of a destination are left out."""
    Path("file").touch()
    ran = run("get", "1hz/b.parquet", "file/b")
    assert ran.code == 5
    assert ran.err.endswith("/file/b: Not a directory (exit code 5)\n") or "File exists" in ran.err


def test_get_with_wrong_credentials_is_4(store: MemoryStore, run: Run) -> None:
    """What the listing is refused for, HEAD is as well."""
    for verb in ("list", "head"):
        store.always(verb, "root.parquet", Act(error=AuthError("unknown key")))
    ran = run("get", "root.parquet")
    assert (ran.code, ran.err) == (4, "asyncsync: unknown key (exit code 4)\n")


def test_help_of_get_says_what_it_takes(run: Run) -> None:
    """A key, and where it goes; nothing that selects."""
    ran = run("get", "--help")
    assert ran.out.startswith("usage: asyncsync get KEY [PATH|-] [options]\n")
    assert "--include" not in ran.out


# as a program -----------------------------------------------------------------------------------


@pytest.fixture
def stock(bucket: Bucket) -> Bucket:
    """A bucket on a real server."""
    bucket.put_many({f"many/{number:0100}.parquet": b"x" for number in range(1001)})
    bucket.multipart("1hz/large.bin", LARGE, 8 * 1024 * 1024)
    bucket.put("1hz/deep/er/small.bin", b"small")
    return bucket


@pytest.mark.anyio
async def test_real_bucket_is_listed_and_added_up(stock: Bucket) -> None:
    """As `aws s3 ls` does, page after page, and at any depth."""
    environment = {**stock.server.environment(), "ASYNCSYNC_INCLUDE": "*"}
    ran = await asyncsync(environment, "ls")
    assert [row[-1] for row in rows(ran.out)] == ["1hz/", "many/"]
    ran = await asyncsync(environment, "ls", "--depth", "2", "1hz/")
    assert [row[-1] for row in rows(ran.out)] == ["1hz/deep/er/", "1hz/large.bin"]
    ran = await asyncsync(environment, "ls", "-r", "--json")
    keys = [event["key"] for event in ran.events[1:-1]]
    assert len(keys) == 1003
    assert keys == sorted(keys)
    ran = await asyncsync(environment, "du")
    assert rows(ran.out)[-1][0] == "1,003"


@pytest.mark.anyio
async def test_real_object_comes_whole(stock: Bucket, tmp_path: Path) -> None:
    """In parts, to a file and to a pipe."""
    environment = stock.server.environment()
    ran = await asyncsync(environment, "get", "1hz/large.bin", "--no-progress")
    assert (ran.code, ran.err) == (0, "")
    assert "proven: size, version, md5-of-parts" in ran.out
    assert (tmp_path / "large.bin").read_bytes() == LARGE
    command = f"{sys.executable} -m asyncsync get -q 1hz/large.bin - > out"
    piped = await anyio.run_process(
        ["sh", "-c", command], env={**os.environ, **environment}, check=False
    )
    assert (piped.returncode, piped.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == LARGE
    assert sorted(os.listdir(tmp_path)) == ["large.bin", "out"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has such a device")
@pytest.mark.parametrize("line", ["get 1hz/a.parquet -", "ls", "ls --json", "du", "du --json"])
def test_output_that_cannot_be_written_is_5(
    store: MemoryStore, run: Run, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """As on a full disk; nothing is lost in silence."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        ran = run(*line.split())
        assert ran.code == 5
        assert ran.err.startswith("asyncsync: standard output: No space left on device")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


@pytest.mark.anyio
@pytest.mark.parametrize("line", ["get -q 1hz/large.bin -", "ls -r many/", "ls -r many/ --json"])
async def test_reader_that_has_enough_ends_it(stock: Bucket, line: str) -> None:
    """In silence, and with exit code 1."""
    command = f"({sys.executable} -m asyncsync {line}; echo $? > code) | head -c 10 | wc -c"
    piped = await anyio.run_process(
        ["sh", "-c", command], env={**os.environ, **stock.server.environment()}, check=False
    )
    assert (piped.stdout.split(), piped.stderr) == ([b"10"], b"")
    assert Path("code").read_text() == "1\n"  # noqa: ASYNC240 - a small file

"""Rows 76 to 90 of the table of faults: keys that have no safe path, and odd ones that have."""

import asyncio
import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from asyncsync.disk.folders.directory import Directory
from asyncsync.errors import KeyCollisionError, UnsafeKeyError
from asyncsync.paths import Paths
from tests.rigs.child import Done, asyncsync
from tests.rigs.mounted import Mounted, mounted
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.terminal import Terminal
from tests.rigs.watch import snapshot, tree
from tests.rigs.wrapped import on_a_terminal, wrapped

pytestmark = pytest.mark.anyio

GOOD = {"a/b.parquet": b"good", "x": b"good as well"}


@pytest.fixture
def dest(tmp_path: Path) -> Iterator[Path]:
    """A destination; nothing outside it may change."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    before = snapshot(outside)
    yield tmp_path / "deep" / "dest"
    assert snapshot(outside) == before
    assert {path.name for path in tmp_path.iterdir()} <= {"outside", "deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} <= {"dest"}


async def check_refused(dest: Path, *keys: str) -> None:
    """Check that the keys are skipped and reported, and that all other objects are downloaded."""
    async with ScriptedS3(GOOD | dict.fromkeys(keys, b"evil")) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.error) == (3, None)
        assert ran.seen.failures == dict.fromkeys(keys, UnsafeKeyError)
        assert tree(dest) == GOOD
        assert not {r.key for r in s3.requests if r.verb != "LIST"} & set(keys)


async def check_stored(dest: Path, *keys: str) -> None:
    """Check that each key's file has exactly its name and its bytes."""
    objects = {key: key.encode("utf-8", "surrogateescape") for key in keys}
    async with ScriptedS3(objects) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.error, ran.seen.failures) == (0, None, {})
        assert tree(dest) == objects
        again = await sync(s3, dest)
        assert (again.code, again.report.up_to_date) == (0, len(keys))


# keys without a path ----------------------------------------------------------------------------


@pytest.mark.row(76)
async def test_key_that_leads_elsewhere_is_refused(dest: Path) -> None:
    """Whether it would leave the destination or only reach another key's file."""
    await check_refused(
        dest,
        *("../x", "a/../../x", "..", "q/..", "./x", ".", "a/./b.parquet", "a/../x", "../dest/y"),
        *("../../outside/precious", "a/../../../outside/precious"),
    )


@pytest.mark.row(76)
async def test_nothing_else_is_written_on_the_machine(dest: Path) -> None:
    """A run with such keys works where everything but the destination is read-only."""
    await asyncio.to_thread(dest.mkdir, parents=True)
    read_only = [
        *("unshare", "-m", "sh", "-ec"),
        'mount --bind "$0" "$0"; mount -o remount,bind,ro /; exec "$@"',
        str(dest),
    ]
    probe = await asyncio.create_subprocess_exec(*read_only, "true", stderr=asyncio.subprocess.PIPE)
    await probe.communicate()
    if probe.returncode:
        pytest.skip("this machine mounts nothing for tests")
    async with ScriptedS3(GOOD | dict.fromkeys(["../x", "/x", "a/../../x"], b"evil")) as s3:
        done = await wrapped(read_only, s3.environment, "--include", "*", "--dest", str(dest))
    assert done.code == 3
    assert done.err.count("skipped: ") == 3
    assert tree(dest) == GOOD


@pytest.mark.row(77)
async def test_empty_component_is_never_folded(dest: Path) -> None:
    """`a//b` is not `a/b`, so it has no path."""
    await check_refused(dest, "/x", "//x", "a//b.parquet", "a/b.parquet//c")


@pytest.mark.row(78)
async def test_nul_is_refused(dest: Path) -> None:
    """As a key, without a crash."""
    await check_refused(dest, "\0", "a/\0b", "x\0")


@pytest.mark.row(79)
@pytest.mark.skipif(os.name == "nt", reason="these are plain names on POSIX only")
async def test_names_of_windows_are_plain_names(dest: Path) -> None:
    """They are stored unchanged on POSIX, and refused by the rules for Windows."""
    keys = ["a\\b", "C:\\x", "C:x", "\\\\h\\s", "CON", "a.", "..\\..\\x"]
    await check_stored(dest, *keys)
    for key in keys:
        with pytest.raises(UnsafeKeyError):
            Paths(windows=True).of(key)


@pytest.mark.row(80)
async def test_longest_name_is_stored_and_longer_ones_are_refused(dest: Path) -> None:
    """Bytes count, not characters; the names of unfinished files are short."""
    longest = ["a" * 255, "é" * 127 + "a", "d" * 255 + "/" + "b" * 255]
    await check_stored(dest, *longest)
    for key in longest:
        path = dest / key
        path.unlink()
    await check_refused(dest, "a" * 256, "é" * 128, "d" * 256 + "/b")


@pytest.mark.row(81)
async def test_path_longer_than_the_system_takes_at_once_is_stored(dest: Path) -> None:
    """48 levels of 20 bytes below a destination of thousands: folders are opened one by one."""
    dest = dest.joinpath(*["level".ljust(250, "-")] * 14)
    key = "/".join(["level".ljust(20, "-")] * 48 + ["a.parquet"])
    assert len(str(dest / key)) > 4096
    async with ScriptedS3({key: b"deep", **GOOD}) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.seen.downloaded) == (0, sorted([key, *GOOD]))
        with Directory.walk(str(dest), key.split("/")[:-1]) as directory:
            found = directory.look_up("a.parquet")
            assert found
            assert found.size == 4
        again = await sync(s3, dest)
        assert (again.code, again.report.up_to_date) == (0, 3)


@pytest.mark.row(81)
async def test_path_that_cannot_be_made_leaves_no_part_of_it(dest: Path) -> None:
    """The name that is too long comes last, and no folder before it is created."""
    await check_refused(dest, "/".join([*["level"] * 120, "n" * 256]))
    assert not (dest / "level").exists()


@pytest.mark.row(82)
async def test_two_forms_of_a_letter_are_two_files(dest: Path) -> None:
    """On a file system that preserves bytes; asyncsync normalizes nothing."""
    keys = [unicodedata.normalize(form, "é.parquet") for form in ("NFC", "NFD")]
    assert len(set(keys)) == 2
    await check_stored(dest, *keys)


@pytest.mark.row(83)
async def test_case_is_kept(dest: Path) -> None:
    """On a case-sensitive file system."""
    await check_stored(dest, "Case/a", "case/a", "case/A")


@pytest.mark.row(84)
@pytest.mark.parametrize("order", [["x", "x/y"], ["x/y", "x"]], ids=["file first", "folder first"])
@pytest.mark.parametrize("page_size", [1, 2])
@pytest.mark.parametrize("workers", [1, 8])
async def test_folder_wins(dest: Path, order: list[str], page_size: int, workers: int) -> None:
    """Whichever is listed first, on one page or on two, and in the next run too."""
    async with ScriptedS3({"p/x": b"file", "p/x/y": b"deep"}) as s3:
        keys = [f"p/{key}" for key in order]

        def listed(request: Request) -> Answer | None:
            if request.key != "p/":
                return None
            start = int(request.token or 0)
            end = start + page_size
            return Answer(s3.page(*keys[start:end], token=str(end) if end < 2 else ""))

        s3.on_list = listed
        for _ in range(2):
            ran = await sync(s3, dest, "p/", workers=workers)
            assert (ran.code, ran.seen.failures) == (3, {"p/x": KeyCollisionError})
            assert tree(dest) == {"p/x/y": b"deep"}


@pytest.mark.row(84)
@pytest.mark.parametrize("is_there", [False, True], ids=["empty", "folder there"])
async def test_folder_wins_whose_needed_key_is_not_on_the_first_page(
    dest: Path, is_there: bool
) -> None:
    """The listing goes on until it finds a key that is selected, or ends."""
    keys = ["p/z.parquet", "p/x.parquet", "p/x.parquet/a.txt", "p/x.parquet/b.parquet"]
    async with ScriptedS3(dict.fromkeys(keys, b"data"), page_size=1) as s3:

        def listed(request: Request) -> Answer | None:
            if request.key != "p/":
                return None
            return Answer(s3.page(*keys[2:]) if request.token else s3.page(*keys[:2], token="2"))

        s3.on_list = listed
        if is_there:
            (dest / keys[1]).mkdir(parents=True)
        ran = await sync(s3, dest, "p/", include=["*.parquet"])
    assert (ran.code, ran.seen.failures) == (3, {keys[1]: KeyCollisionError})
    assert tree(dest) == {keys[0]: b"data", keys[3]: b"data"}


@pytest.mark.row(85)
@pytest.mark.parametrize("keys", [["dir/"], ["a/dir/"], ["/"], ["//"]])
async def test_folder_marker_with_bytes_is_refused(dest: Path, keys: list[str]) -> None:
    """It has content, and no file that could hold it."""
    await check_refused(dest, *keys)


@pytest.mark.row(85)
async def test_folder_marker_with_bytes_counts_by_its_name(dest: Path) -> None:
    """If the globs do not match its folder's name, or it lies elsewhere, it is not selected."""
    markers = dict.fromkeys(["a/", "a/dir/", "b/dir.parquet/", "a/dir.parquet/"], b"content")
    async with ScriptedS3({**GOOD, **markers}) as s3:
        ran = await sync(s3, dest, "a/", include=["*.parquet"])
    assert (ran.code, ran.seen.failures) == (3, {"a/dir.parquet/": UnsafeKeyError})
    assert tree(dest) == {"a/b.parquet": b"good"}


@pytest.mark.row(85)
async def test_folder_marker_is_no_object(dest: Path) -> None:
    """It is not fetched, and no folder is created."""
    async with ScriptedS3({**GOOD, "dir/": b"", "a/": b""}) as s3:
        ran = await sync(s3, dest)
        assert (ran.code, ran.seen.failures) == (0, {})
        assert tree(dest) == GOOD
        assert not (dest / "dir").exists()


@pytest.mark.row(76, 77, 78, 80, 85, 89)
async def test_key_without_a_path_is_fetched_to_an_encoded_one(dest: Path) -> None:
    """If the run says so. Nothing else in the destination is touched, and nothing outside."""
    odd = {
        "../x": "%~../x",
        "a/../../x": "a/%~../%~../x",
        "q/..": "q/%~..",
        "a/./b.parquet": "a/%~./b.parquet",
        "../../outside/precious": "%~../%~../outside/precious",
        "a//b.parquet": "a/%~/b.parquet",
        "x\0": "%~x%00",
        "n" * 256: f"%+{'n' * 253}/%~nnn",
        "dir/": "dir/%~",
        ".asyncsync/lock": "%~.asyncsync/lock",
        ".ASYNCSYNC-0/x": "%~.ASYNCSYNC-0/x",
        "%~../y": "%~%25~../y",
        "/\x1b[2J\udcff": "%~/\x1b[2J\udcff",
    }
    objects = GOOD | {key: os.fsencode(f"of {key}") for key in odd}
    paths = Paths(encodes=True)
    async with ScriptedS3(objects, page_size=3) as s3:
        ran = await sync(s3, dest, paths=paths)
        assert (ran.code, ran.error, ran.seen.failures) == (0, None, {})
        assert tree(dest) == GOOD | {path: objects[key] for key, path in odd.items()}
        again = await sync(s3, dest, paths=paths)
        assert (again.code, again.report.up_to_date) == (0, len(objects))


@pytest.mark.row(157)
async def test_key_that_is_too_long_has_no_encoded_path(dest: Path) -> None:
    """A server need not take it in a request."""
    async with ScriptedS3(GOOD | {"n/" * 1000: b"evil"}) as s3:
        ran = await sync(s3, dest, paths=Paths(encodes=True))
    assert (ran.code, [*ran.seen.failures.values()]) == (3, [UnsafeKeyError])
    assert tree(dest) == GOOD


# keys that look odd -----------------------------------------------------------------------------

SPACES = [" ", "  ", "a b", " a/ b ", "new\nline", "tab\t", "\r", "\n", "a/\n/b"]
CONTROL = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x7f",
    "\u202egpj.exe",
    "\u2066x\u2069",
    "\x01",
]
RAW = ["\udcff", "a/\udc80/b", "\udced\udca0\udc80"]
SHELL = [
    "-rf",
    "~",
    "$HOME",
    "*",
    "%s",
    "%(key)s",
    "{}",
    "{0}",
    "`id`",
    "$(id)",
    ";",
    "--help",
    "?",
]


@pytest.mark.row(86)
async def test_white_space_is_stored_as_it_is(dest: Path) -> None:
    """Anywhere in the key."""
    await check_stored(dest, *SPACES)


@pytest.mark.row(87)
async def test_control_characters_are_stored_as_they_are(dest: Path) -> None:
    """They are bytes like any other."""
    await check_stored(dest, *CONTROL)


@pytest.mark.row(88)
async def test_bytes_that_are_not_utf8_are_stored_as_they_are(dest: Path) -> None:
    """The file's name has the same bytes as the key."""
    await check_stored(dest, *RAW)
    assert b"\xff" in os.listdir(os.fsencode(dest))


@pytest.mark.row(90)
async def test_names_that_a_shell_would_expand_are_stored_as_they_are(dest: Path) -> None:
    """Nothing is expanded or formatted, and nothing is an option."""
    await check_stored(dest, *SHELL)


async def verbose(s3: ScriptedS3, *arguments: str) -> Done:
    return await asyncsync(
        s3.environment, "--verbose", "--no-progress", "--include", "*", *arguments
    )


@pytest.mark.row(86)
@pytest.mark.row(87)
@pytest.mark.row(88)
@pytest.mark.row(90)
async def test_odd_keys_are_shown_harmlessly_on_one_line(dest: Path) -> None:
    """In text each is one line of printable characters, in JSON it is the key itself."""
    keys = [*SPACES, *CONTROL, *RAW, *SHELL]
    unsafe = [f"../{key}" for key in keys]
    async with ScriptedS3(dict.fromkeys([*keys, *unsafe], b"x")) as s3:
        text = await verbose(s3, "--dest", str(dest))
        as_json = await verbose(s3, "verify", "--json", "--dest", str(dest))
    assert (text.code, as_json.code) == (3, 3)
    out, err = text.out.splitlines(), text.err.splitlines()
    assert sum(line.startswith("downloaded: ") for line in out) == len(keys)
    assert [line[: len("skipped: ../")] for line in err] == ["skipped: ../"] * len(keys)
    assert all(line.isprintable() for line in out + err)
    assert r"downloaded: \x1b[2J" in out
    assert "downloaded: %(key)s" in out
    shown = {event["key"] for event in as_json.events if "key" in event}
    assert shown == {*keys, *unsafe}
    assert as_json.out.isascii()


@pytest.mark.row(87)
async def test_no_key_reaches_a_terminal_unescaped(dest: Path) -> None:
    """The terminal gets only our own cursor movements and colours."""
    keys = {*CONTROL, *(f"../{key}" for key in CONTROL), *(f"big{key}" for key in CONTROL)}
    async with ScriptedS3({key: bytes(300_000 * key.startswith("big")) for key in keys}) as s3:
        settings = s3.environment | {"TERM": "xterm", "COLUMNS": "100"}
        arguments = ("--verbose", "--include", "*", "--dest", str(dest))
        code, text = await on_a_terminal(settings, *arguments)
    assert code == 3
    Terminal().write(text)  # it raises on any other control sequence


# our own names ----------------------------------------------------------------------------------


@pytest.mark.row(89)
async def test_our_own_names_are_refused(dest: Path) -> None:
    """A key cannot replace the lock or an unfinished file."""
    await check_refused(dest, ".asyncsync", ".asyncsync/lock", ".asyncsync/parts/x", ".AsyncSync/x")
    assert (dest / ".asyncsync/lock").read_bytes() != b"evil"


@pytest.mark.row(88)
async def test_folder_whose_name_is_not_utf8_is_downloaded(tmp_path: Path) -> None:
    """Its prefix is found, and listed by its bytes."""
    objects = {"a\udc80/b": b"1", "a\udc80/c": b"2", "\udcff/x": b"3"}
    async with ScriptedS3(objects) as s3:
        ran = await sync(s3, tmp_path / "dest")
    assert (ran.code, ran.error) == (0, None)
    assert tree(tmp_path / "dest") == objects


@pytest.mark.row(88)
@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_long_folder_with_names_that_are_not_utf8_is_downloaded(
    tmp_path: Path, page_size: int
) -> None:
    """Even if its listing is split into ranges."""
    objects = {f"a/\udc80{n:02}/{m}\udcff": b"x" for n in range(20) for m in range(5)}
    async with ScriptedS3(objects, page_size=page_size) as s3:
        ran = await sync(s3, tmp_path / "dest", "a/")
    assert (ran.code, ran.error) == (0, None)
    assert tree(tmp_path / "dest") == objects


# on a disk that folds names ---------------------------------------------------------------------

NFC, NFD = (unicodedata.normalize(form, "\u00e9.parquet") for form in ("NFC", "NFD"))


async def check_collisions(disk: Mounted, won: Sequence[str], lost: Sequence[str]) -> None:
    """Check that two runs fetch the keys of `won` once, and refuse those of `lost`."""
    objects = {key: key.encode() * 99 for key in [*won, *lost]}
    dest = disk.path / "dest"
    async with ScriptedS3(objects) as s3:
        for _ in range(2):
            done = await asyncsync(s3.environment, "--json", "--include", "*", "--dest", str(dest))
            refused = [(e["key"], e["error"]) for e in done.events if e["event"] == "skipped"]
            assert (done.code, sorted(refused)) == (
                3,
                [(key, "KeyCollisionError") for key in sorted(lost)],
            )
            assert tree(dest) == {key: objects[key] for key in won}
            assert sorted(r.key for r in s3.requests if r.verb == "GET") == sorted(won)


@pytest.mark.row(82, 83)
async def test_keys_collide_on_a_disk_that_folds_names(tmp_path: Path) -> None:
    """By case and by form, in folders and as a folder of another key, as on a Mac's disk."""
    won = ["Case/a", "D/x", "E", "Q/\u00c9/a", NFD]
    lost = ["case/a", "d", "e/x", "q/e\u0301/A", NFC]
    with mounted(tmp_path / "disk", "--fold-cases", "--fold-forms") as disk:
        await check_collisions(disk, won, lost)


@pytest.mark.row(82)
async def test_keys_collide_on_a_disk_that_folds_forms(tmp_path: Path) -> None:
    """Keys that differ by case are two files there."""
    with mounted(tmp_path / "disk", "--fold-forms") as disk:
        await check_collisions(disk, ["Case/a", "case/a", NFD], [NFC])


@pytest.mark.row(83)
async def test_keys_collide_on_a_disk_that_folds_cases(tmp_path: Path) -> None:
    """Keys that differ by the form of a letter are two files there."""
    with mounted(tmp_path / "disk", "--fold-cases") as disk:
        await check_collisions(disk, ["Case/a", NFC, NFD], ["case/a"])

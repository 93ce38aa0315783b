"""Rows 61 to 75 of the table of faults: listings that are wrong, break off, or never end."""

import asyncio
import errno
import sys
import time
from bisect import bisect_right
from pathlib import Path

import pytest

from asyncsync import pipeline
from asyncsync.compare import ComparedHandler
from asyncsync.download import Unproven
from asyncsync.download.download import SMALL
from asyncsync.errors import (
    IncompleteListingError,
    ListingError,
    NetworkError,
    RemoteChangedError,
    SourceError,
)
from asyncsync.listing.outline import MOST_PAGES
from asyncsync.listing.paging import MOST_EMPTY_PAGES, MOST_REPEATED_PAGES
from asyncsync.s3.pages import PAGE_LIMIT
from asyncsync.times import format_time
from tests.rigs.failing_disk import FailingDisk
from tests.rigs.scripted_s3 import Answer, Hook, Request, ScriptedS3, etag_of, sync
from tests.rigs.watch import Watcher, tree

pytestmark = pytest.mark.anyio

KEYS = ("1hz/a.parquet", "1hz/b.parquet", "1hz/c.parquet")
OBJECTS = {key: key.encode() for key in KEYS}


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """A destination with a file of the user's own."""
    (tmp_path / "dest" / "1hz").mkdir(parents=True)
    (tmp_path / "dest" / "1hz" / "mine.parquet").write_bytes(b"mine")
    return tmp_path / "dest"


def in_turn(s3: ScriptedS3, *tokens: str) -> Hook:
    """Return a hook that lists the first key with each token in turn; the last one repeats."""
    return lambda request: Answer(
        s3.page(KEYS[0], token=tokens[min(request.number, len(tokens) - 1)])
    )


async def check_listing_error(s3: ScriptedS3, dest: Path) -> str:
    """Check that a sync of a prefix fails at once and deletes nothing; return the message."""
    ran = await sync(s3, dest, "1hz/")
    assert (ran.code, type(ran.error)) == (4, ListingError)
    assert "1hz/" in str(ran.error)
    assert tree(dest)["1hz/mine.parquet"] == b"mine"
    assert set(tree(dest)) <= {*KEYS, "1hz/mine.parquet"}
    return str(ran.error)


@pytest.mark.parametrize("tag", ["a&#13;&#10;X-Evil: 1", "a\nb", "é", "a&quot;b"])
async def test_etag_that_no_header_can_hold_is_not_sent(dest: Path, tag: str) -> None:
    """It is never sent, and only its object fails, because the answers have another ETag."""
    large = "1hz/large.parquet"
    async with ScriptedS3({**OBJECTS, large: b"x" * (SMALL + 1)}) as s3:

        def odd(request: Request) -> Answer:
            page = s3.page(*(key for key in s3.objects if key.startswith(request.key))).decode()
            for key in (KEYS[0], large):
                page = page.replace(etag_of(s3.objects[key]), tag)
            return Answer(page.encode())

        s3.on_list = odd
        ran = await sync(s3, dest, "1hz/")
        assert (ran.code, ran.report.failed) == (1, 2)
        assert {type(failed.error) for failed in ran.report.failures} == {RemoteChangedError}
        headers = [request.headers for request in s3.requests if request.key in {KEYS[0], large}]
    assert not any("if-match" in some or "x-evil" in some for some in headers)
    assert tree(dest).keys() == {*KEYS[1:], "1hz/mine.parquet"}


# listings that never end ------------------------------------------------------------------------


@pytest.mark.row(61)
async def test_repeated_token_ends_the_run_at_its_first_repeat(dest: Path) -> None:
    """The last key is not downloaded: keys below it may be on a page that never came."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = in_turn(s3, "A")
        await check_listing_error(s3, dest)
        assert s3.count("LIST") <= 3 + MOST_PAGES
    assert KEYS[0] not in tree(dest)


@pytest.mark.row(62)
async def test_alternating_tokens_end_the_run(dest: Path) -> None:
    """A, B, A, B is a repetition, too."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(
            s3.page(KEYS[0], token="B" if request.token == "A" else "A")
        )
        await check_listing_error(s3, dest)
        assert s3.count("LIST") <= 5 + MOST_PAGES


@pytest.mark.row(63)
async def test_missing_token_ends_the_run(dest: Path) -> None:
    """The page says that more pages follow, but not where."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(s3.page(KEYS[0], truncated=True))
        await check_listing_error(s3, dest)
        assert s3.count("LIST") == 1


@pytest.mark.row(64)
async def test_endless_empty_pages_end_the_run(dest: Path) -> None:
    """Filters and deleted keys may leave a thousand in a row, but no more."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(s3.page(token=f"token-{request.number}"))
        await check_listing_error(s3, dest)
        assert s3.count("LIST") == MOST_EMPTY_PAGES + 1 + MOST_PAGES


@pytest.mark.row(65)
@pytest.mark.parametrize("keys", [KEYS[:1], KEYS])
async def test_repeated_keys_with_new_tokens_end_the_run(dest: Path, keys: tuple[str, ...]) -> None:
    """After a hundred repeated pages; all keys but the last have been downloaded."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(s3.page(*keys, token=f"token-{request.number}"))
        await check_listing_error(s3, dest)
        assert s3.count("LIST") < 3 * MOST_REPEATED_PAGES
    assert tree(dest).items() >= {key: OBJECTS[key] for key in keys[:-1]}.items()


# listings that are odd --------------------------------------------------------------------------


@pytest.mark.row(66)
async def test_key_that_is_listed_again_is_fetched_once(dest: Path) -> None:
    """On one page, on two, and by overlapping prefixes."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(
            s3.page(KEYS[1], KEYS[1])
            if request.token
            else s3.page(KEYS[0], KEYS[0], KEYS[1], token="A")
        )
        listed = asyncio.Event()
        s3.on_object = lambda request: Answer(s3.objects[request.key], until=listed)
        ran = await sync(s3, dest, "1hz/", "1hz/a", "1hz/", seen=Watcher(on_listed=listed.set))
        assert (ran.code, ran.seen.downloaded) == (0, list(KEYS[:2]))
        assert s3.count("GET") == 2


@pytest.mark.row(67)
@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 7])
async def test_keys_out_of_order_all_arrive(dest: Path, page_size: int) -> None:
    """Their prefix is not cut into ranges, or goes on alone, page after page."""
    keys = [f"1hz/{number * 7 % 13:02}.parquet" for number in range(13)]
    async with ScriptedS3({key: key.encode() for key in keys}) as s3:

        def unsorted(request: Request) -> Answer:
            start = int(request.token or 0)
            end = start + page_size
            return Answer(s3.page(*keys[start:end], token=str(end) if end < len(keys) else ""))

        s3.on_list = unsorted
        ran = await sync(s3, dest, "1hz/")
        assert (ran.code, ran.seen.downloaded) == (0, sorted(keys))
        assert s3.count("GET") == len(keys)


@pytest.mark.row(130)
@pytest.mark.parametrize("prefixes", [(), ("deep/", "shallow/")])
async def test_folders_that_hold_only_folders_are_not_lost(
    dest: Path, prefixes: tuple[str, ...]
) -> None:
    """As with s3rver: pages are not sorted, and the list of folders leaves out `deep/`."""
    deep = ["deep/a/zzz.bin", *(f"deep/a/{number:04}.bin" for number in range(40))]
    keys = [*deep, *(f"shallow/{number:04}.bin" for number in range(10))]
    async with ScriptedS3({key: key.encode() for key in keys}) as s3:

        def listed(request: Request) -> Answer:
            if request.delimiter:
                return Answer(s3.page(prefixes=["shallow/"] * (not request.key)))
            found = [key for key in keys if key.startswith(request.key)]
            start = int(request.token or 0)
            token = str(start + 10) if start + 10 < len(found) else ""
            return Answer(s3.page(*found[start : start + 10], token=token))

        s3.on_list = listed
        ran = await sync(s3, dest, *prefixes)
        assert (ran.code, ran.seen.downloaded) == (0, sorted(keys))
        assert s3.count("LIST") <= 10


@pytest.mark.row(130)
async def test_run_fails_that_was_shown_a_key_in_one_listing_only(dest: Path) -> None:
    """Whatever it was shown arrives, and the error says what to do."""
    keys = [f"{number:02}" for number in range(12)]
    async with ScriptedS3({key: key.encode() for key in [*keys, "deep/x"]}) as s3:

        def listed(request: Request) -> Answer | None:
            if request.delimiter or request.key:
                return None
            behind = request.start_after or request.token
            found = [key for key in keys if key > behind]
            return Answer(s3.page(*found[:5], token=found[4] if len(found) > 5 else ""))

        s3.on_list = listed
        ran = await sync(s3, dest)
    assert (ran.code, type(ran.error)) == (4, IncompleteListingError)
    assert "run again" in str(ran.error and ran.error.advice)
    assert ran.seen.downloaded == [*keys, "deep/x"]


@pytest.mark.row(159)
async def test_page_in_falling_order_takes_at_most_two_requests(dest: Path) -> None:
    """No key is asked about: the end of the listing tells which folders there are."""
    keys = [f"{number:05}" for number in range(2000)]
    async with ScriptedS3(dict.fromkeys([*keys, "00007/x"], b"x")) as s3:
        s3.on_list = lambda request: Answer(s3.page(*sorted(s3.objects, reverse=True)))
        ran = await sync(s3, dest)
        assert (ran.code, list(ran.seen.failures)) == (3, ["00007"])
        assert len(ran.seen.downloaded) == len(keys)
        assert s3.count("LIST") <= 2


ENCODED = ["a+b", "a%2Fb", "a%252Fb", "a b", "%41", "%", "+", "a%20b", "%2B", "ü/é%C3%A9"]


@pytest.mark.row(68)
@pytest.mark.parametrize("encodes", [True, False])
async def test_keys_are_decoded_exactly_once(dest: Path, encodes: bool) -> None:
    """And not at all if the server does not say that they are encoded."""
    async with ScriptedS3({f"odd/{key}": key.encode() for key in ENCODED}, encodes=encodes) as s3:
        ran = await sync(s3, dest, "odd/")
        assert ran.code == 0
        assert tree(dest) == {**s3.objects, "1hz/mine.parquet": b"mine"}


@pytest.mark.row(69)
@pytest.mark.parametrize("character", ["\x01", "\x1b", "\0", "&#1;", "\ufffe"])
async def test_control_character_in_the_xml_ends_the_run(dest: Path, character: str) -> None:
    """The message says on which page; it is never taken for the end of the listing."""
    async with ScriptedS3(OBJECTS, encodes=False) as s3:
        xml = s3.page(*KEYS, "1hz/x@x").replace(b"@", character.encode())
        s3.on_list = lambda request: Answer(xml)
        said = await check_listing_error(s3, dest)
        assert said.startswith("prefix 1hz/ cannot be listed: ")
        first = s3.page(KEYS[0], token="2")
        s3.on_list = lambda request: Answer(xml if request.token else first)
        said = await check_listing_error(s3, dest)
        assert said.startswith("prefix 1hz/ cannot be listed, page 2: ")


@pytest.mark.row(70)
@pytest.mark.parametrize("fault", ["reset", "truncated"])
async def test_page_that_breaks_off_is_requested_again(dest: Path, fault: str) -> None:
    """With its own token; earlier pages are not requested again."""
    async with ScriptedS3(OBJECTS, page_size=2) as s3:
        xml = s3.page(*KEYS)
        cut: list[tuple[str, str]] = []

        def broken(request: Request) -> Answer | None:
            place = (request.start_after, request.token)
            if cut or request.delimiter or place == ("", ""):
                return None
            cut.append(place)
            return Answer(xml, cut=50) if fault == "reset" else Answer(xml[:-40])

        s3.on_list = broken
        ran = await sync(s3, dest, "1hz/")
        assert (ran.code, sorted(ran.seen.downloaded)) == (0, list(KEYS))
        listings = [r for r in s3.requests if r.verb == "LIST" and not r.delimiter]
        asked = [(r.start_after, r.token) for r in listings]
        assert asked.count(("", "")) == 1
        assert asked.count(cut[0]) == 2


@pytest.mark.row(71)
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(b"<Error><Code>InternalError</Code></Error>", 500), ListingError),
        (Answer(b"cut", cut=0), NetworkError),
    ],
    ids=["500", "reset"],
)
async def test_transfers_in_flight_finish_when_a_page_fails(
    dest: Path, answer: Answer, kind: type[Exception]
) -> None:
    """Objects of the first page arrive, except the one that waits for the next page."""
    given_up = asyncio.Event()
    seen = Watcher(on_listed=given_up.set)
    async with ScriptedS3(OBJECTS, page_size=2) as s3:

        def fails(request: Request) -> Answer | None:
            if not request.number:
                return None
            if request.number == 3:
                asyncio.get_running_loop().call_soon(given_up.set)
            return answer

        s3.on_list = fails
        s3.on_object = lambda request: Answer(s3.objects[request.key], until=given_up)
        ran = await sync(s3, dest, "1hz/", seen=seen)
    assert (ran.code, type(ran.error)) == (4, kind)
    assert ran.seen.downloaded == [KEYS[0]]
    assert sorted(tree(dest)) == [KEYS[0], "1hz/mine.parquet"]


@pytest.mark.row(71, 91)
async def test_failed_listing_decides_the_exit_code_when_the_disk_is_full(
    dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is that of the listing; the other error is reported as well."""
    given_up = asyncio.Event()
    really = pipeline._find_objects

    async def find(
        job: pipeline.Job, handle: ComparedHandler, unproven: Unproven
    ) -> SourceError | None:
        error = await really(job, handle, unproven)
        given_up.set()
        return error

    monkeypatch.setattr(pipeline, "_find_objects", find)
    FailingDisk(monkeypatch, errno.ENOSPC, "write")
    async with ScriptedS3(OBJECTS, page_size=2) as s3:
        s3.on_list = lambda request: Answer(status=500) if request.number else None
        s3.on_object = lambda request: Answer(s3.objects[request.key], until=given_up)
        ran = await sync(s3, dest, "1hz/")
    assert (ran.code, type(ran.error)) == (4, ListingError)
    assert ["No space left on device" in notice for notice in ran.seen.notices] == [True]


@pytest.mark.row(72)
async def test_bucket_may_change_while_it_is_listed(dest: Path) -> None:
    """Deleted objects are skipped; those added behind its back are no contradiction."""
    async with ScriptedS3(OBJECTS, page_size=2) as s3:

        def changing(request: Request) -> None:
            if request.token or request.start_after:
                s3.objects.pop(KEYS[0], None)
                s3.objects["1hz/0.parquet"] = b"new"
                s3.modified["1hz/0.parquet"] = format_time(time.time_ns())

        listed = asyncio.Event()
        s3.on_list = changing
        s3.on_object = lambda request: (
            Answer(status=404, until=listed) if request.key == KEYS[0] else None
        )
        ran = await sync(s3, dest, "1hz/", seen=Watcher(on_listed=listed.set))
        assert (ran.code, list(ran.seen.failures)) == (3, [KEYS[0]])
        assert sorted(tree(dest)) == ["1hz/0.parquet", *KEYS[1:], "1hz/mine.parquet"]
        again = await sync(s3, dest, "1hz/")
        assert (again.code, again.seen.downloaded) == (0, [])


@pytest.mark.row(73)
async def test_prefix_without_objects_is_reported(dest: Path) -> None:
    """It may be a typing error; nothing fails and nothing is deleted."""
    async with ScriptedS3(OBJECTS) as s3:
        ran = await sync(s3, dest, "1Hz/")
    assert (ran.code, ran.seen.unmatched_prefixes) == (3, ["1Hz/"])
    assert tree(dest) == {"1hz/mine.parquet": b"mine"}


# huge listings ----------------------------------------------------------------------------------


@pytest.mark.row(74)
async def test_page_of_more_than_16_mebibytes_is_not_read(dest: Path) -> None:
    """Its Content-Length is enough to refuse it."""
    async with ScriptedS3() as s3:
        s3.on_list = lambda request: Answer(
            b" " * 100_000, headers={"Content-Length": str(PAGE_LIMIT + 1)}
        )
        await check_listing_error(s3, dest)


PLAN = """
from pathlib import Path
from asyncsync.cli import main
code = main(["plan", "1hz/", "--include", "*", "--quiet"])
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(code, int(status["VmHWM"].split()[0]) // 1024)  # ru_maxrss counts the parent's as well
"""


async def planned(s3: ScriptedS3, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run `plan` in a process of its own, and return its peak memory in MiB."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PLAN, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    code, mebibytes = map(int, out.split())
    assert code == 0
    return mebibytes


def endless(s3: ScriptedS3, total: int, page_size: int) -> Hook:
    """Return a hook that lists `total` keys without storing them."""

    def key(number: int) -> str:
        return f"1hz/{number:08}.parquet"

    def listed(request: Request) -> Answer:
        start = bisect_right(range(total), request.token or request.start_after, key=key)
        keys = [key(number) for number in range(start, min(start + page_size, total))]
        return Answer(s3.page(*keys, token=keys[-1] if start + page_size < total else ""))

    return listed


@pytest.mark.row(74)
async def test_page_of_ten_thousand_keys_takes_limited_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No server is asked for so many, and none may send more."""
    async with ScriptedS3() as s3:
        s3.on_list = endless(s3, 10_000, 10_000)
        assert await planned(s3, monkeypatch) < 175


@pytest.mark.row(75)
@pytest.mark.parametrize(
    ("few", "lots"),
    [(40_000, 100_000), pytest.param(100_000, 1_000_000, marks=pytest.mark.long)],
)
async def test_memory_does_not_grow_with_the_keys(
    monkeypatch: pytest.MonkeyPatch, few: int, lots: int
) -> None:
    """Many keys take as much as few, except for eight bytes for each key."""
    async with ScriptedS3() as s3:
        s3.on_list = endless(s3, few, 1000)
        some = await planned(s3, monkeypatch)
        s3.on_list = endless(s3, lots, 1000)
        many = await planned(s3, monkeypatch)
    assert many <= min(175, some + 30)

"""Error bodies that are traps: XML entities, and bodies without an end (row 41)."""

from functools import partial
from pathlib import Path

import pytest

from asyncsync.errors import ListingError
from tests.faults.remote.scene import KEY, OTHER, SMALL, assert_source_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, Verb
from tests.rigs.fault_run import synced
from tests.rigs.scripted import response
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

BOMB = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Error><Code>&c;</Code><Message>&c;</Message></Error>"""


@pytest.mark.row(41)
@pytest.mark.parametrize("status", ["403 Forbidden", "404 Not Found"])
async def test_entity_bomb_is_not_read(bucket: Bucket, dest: Path, status: str) -> None:
    """The error follows from the status, and its message has nothing of the body."""
    bomb = Act(instead=response(BOMB, status=status))
    run = await synced(bucket, dest, Rule("GET", KEY, bomb))
    assert run.failures.keys() == {KEY}
    assert run.tree == {OTHER: SMALL}
    assert "aaaa" not in run.message
    assert run.proxy.count("GET", KEY) == 1


@pytest.mark.row(41)
async def test_listing_with_a_document_type_ends_the_run(bucket: Bucket, dest: Path) -> None:
    """A document type is rejected, whatever it declares."""
    bomb = Act(instead=response(BOMB.replace(b"Error>", b"ListBucketResult>")))
    run = await synced(bucket, dest, Rule("LIST", "*", bomb), attempts=2)
    assert_source_error(run, ListingError, "document type")


@pytest.mark.row(41)
@pytest.mark.parametrize("verb", ["LIST", "GET"])
async def test_huge_error_body_is_not_read(bucket: Bucket, dest: Path, verb: Verb) -> None:
    """The run ends although most of the 100 MiB never arrive."""
    head = b"HTTP/1.1 500 Failed\r\nContent-Length: 104857600\r\n\r\n"
    huge = Act(instead=head + b"x" * 100_000, ending="stall")
    run = await synced(bucket, dest, Rule(verb, "*", huge), attempts=2)
    assert run.exit_code == (4 if verb == "LIST" else 1)
    assert run.tree == {}


HUGE = 100 * 1024 * 1024
MOST_IN_SOCKETS = 8 * 1024 * 1024
FRAMINGS = {
    "announced": {"Content-Length": str(HUGE)},
    "in chunks": {"Transfer-Encoding": "chunked"},
    "until the end": {"Connection": "close"},
}


@pytest.mark.row(41)
@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize(("status", "times"), [(403, 1), (500, 3)])
@pytest.mark.parametrize("verb", ["LIST", "HEAD", "GET"])
async def test_error_body_without_bounds_is_hung_up_on(
    tmp_path: Path, verb: Verb, status: int, times: int, framing: dict[str, str]
) -> None:
    """Of 100 MiB, a server can send only what fits into the buffers of the sockets."""
    flood = Answer(b"", status, framing, more=HUGE)
    async with ScriptedS3({KEY: SMALL}) as s3:
        hook = partial(_flooding, verb, flood)
        s3.on_list, s3.on_object = hook, hook
        ran = await sync(s3, tmp_path / "dest")
    if (verb, status) == ("HEAD", 403):  # then the GET has to do
        assert (ran.code, tree(tmp_path / "dest")) == (0, {KEY: SMALL})
    else:
        assert ran.code == (4 if verb == "LIST" else 1)
        assert tree(tmp_path / "dest") == {}
    assert len(s3.sent) == times
    assert max(s3.sent) < MOST_IN_SOCKETS


def _flooding(verb: Verb, flood: Answer, request: Request) -> Answer | None:
    return flood if request.verb == verb else None

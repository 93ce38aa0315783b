"""The command line against each real server: what a user gets in the end, whoever wrote it."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import ROOT
from tests.rigs.bucket import Bucket
from tests.rigs.child import asyncsync, ended, started, until
from tests.rigs.objects import parquet
from tests.rigs.relay import Relay
from tests.rigs.servers import PACKAGES, UNSTORABLE, Servers
from tests.rigs.watch import noted, tree, unfinished
from tests.s3.test_store_contract import ODD_KEYS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals are POSIX ones"),
]

LARGE = os.urandom(1_000_003) * 12  # no part is a multiple of this, so all parts are different
MIB = 1 << 20
SMALL: Mapping[str, bytes] = {
    "empty.parquet": b"",
    "one.parquet": b"1",
    "small.parquet": bytes(range(256)) * 1024,
    "larger.parquet": bytes(range(256)) * 1024 + b"1",
    "1hz/2026-01.parquet": parquet(b"January"),
    "1hz/2026-02.parquet": parquet(b"February"),
    "1hz.parquet": b"beside a folder",
    "1hz-old/a.parquet": b"sorts before the folder in a listing by bytes",
}
ODD_PARTS = {"parts/even.parquet": 6 * MIB, "parts/odd.parquet": 5 * MIB + 777}
"""Objects of several parts, and the size of theirs."""


def test_document_names_each_server_with_its_version() -> None:
    """So that the table says what these tests ran with."""
    text = (ROOT / "docs/servers.md").read_text(encoding="utf-8")
    rows = {line.partition("|")[2].partition("|")[0]: line for line in text.splitlines()}
    for name, package in PACKAGES.items():
        program, version = re.split(r"==|@", package)
        row = next(row for server, row in rows.items() if name in server)
        assert f"`{program.partition('[')[0]}` {version} " in row, name


@pytest.fixture(params=["SeaweedFS", *PACKAGES])
def place(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Bucket]:
    """An empty bucket on each server in turn."""
    name = request.param
    with servers.bucket(name) as bucket:
        yield bucket


@pytest.fixture
def storable(request: pytest.FixtureRequest) -> list[str]:
    """Odd keys, less those that the server of this test does not store."""
    name = request.node.callspec.params["place"]
    return [key for key in ODD_KEYS if key not in UNSTORABLE.get(name, ())]


async def test_bucket_arrives_and_a_second_run_fetches_nothing(
    place: Bucket, storable: list[str], tmp_path: Path
) -> None:
    """Odd names, empty and tiny objects, uploads in odd parts; what was replaced comes anew."""
    dest, settings = tmp_path / "dest", place.server.environment()
    objects = {**SMALL, **{key: key.encode() for key in storable}}
    place.put_many(objects)
    for key, size in ODD_PARTS.items():
        place.multipart(key, LARGE, size)
    objects |= dict.fromkeys(ODD_PARTS, LARGE)

    first = await asyncsync(settings, "--json", "--dest", str(dest))
    assert (first.code, first.err) == (0, "")
    assert tree(dest) == objects
    assert first.summary["downloaded"] == len(objects)
    arrived = [event for event in first.events if event["event"] == "downloaded"]
    assert {e["key"] for e in arrived if "md5" not in e["proven"]} <= ODD_PARTS.keys()

    again = await asyncsync(settings, "--json", "--dest", str(dest))
    assert (again.code, again.summary["downloaded"]) == (0, 0)
    assert again.summary["up_to_date"] == len(objects)

    changed = {
        "one.parquet": b"another",
        "1hz/2026-02.parquet": b"",
        "parts/odd.parquet": LARGE[1:],
    }
    place.put_many(changed)
    third = await asyncsync(settings, "--json", "--dest", str(dest))
    assert (third.code, third.summary["downloaded"]) == (0, len(changed))
    assert tree(dest) == objects | changed
    assert unfinished(dest) == []

    deep = await asyncsync(settings, "verify", "--deep", "--json", "--dest", str(dest))
    assert (deep.code, deep.summary["verified"]) == (0, len(objects))


@pytest.mark.parametrize("name", ["moto", "Swift"])
async def test_keys_that_are_no_path_arrive_encoded(
    servers: Servers, name: str, tmp_path: Path
) -> None:
    """These two servers store them as they are; others fold them, or take none."""
    paths = {
        "a//b.parquet": "a/%~/b.parquet",
        "/x.parquet": "%~/x.parquet",
        "../c.parquet": "%~../c.parquet",
        "a/./d.parquet": "a/%~./d.parquet",
        "a/../b.parquet": "a/%~../b.parquet",
        "dir.parquet/": "dir.parquet/%~",
        "%~f.parquet": "%~%25~f.parquet",
        ".asyncsync/e.parquet": "%~.asyncsync/e.parquet",
        f"{'n' * 300}.parquet": f"%+{'n' * 253}/%~{'n' * 47}.parquet",
    }
    dest = tmp_path / "dest"
    with servers.bucket(name) as bucket:
        for key in paths:
            bucket.put(key, key.encode())  # `put_many` cannot: urllib3 resolves dots
        options = ("--dest", str(dest), "--json", "--odd-keys")
        skipped = await asyncsync(bucket.server.environment(), *options, "skip")
        assert (skipped.code, skipped.summary["skipped"]) == (3, len(paths))
        done = await asyncsync(bucket.server.environment(), *options, "encode")
        deep = await asyncsync(bucket.server.environment(), "verify", "--deep", *options, "encode")
    assert (done.code, done.err) == (0, "")
    assert tree(dest) == {path: key.encode() for key, path in paths.items()}
    assert (deep.code, deep.summary["content_proven"]) == (0, len(paths))


async def test_doctor_finds_nothing_wrong(place: Bucket, tmp_path: Path) -> None:
    """Settings, listing, HEAD, a read of a part and the destination."""
    place.put("a.parquet", parquet(b"data" * 1000))
    done = await asyncsync(place.server.environment(), "doctor", "--dest", str(tmp_path / "dest"))
    assert (done.code, done.out.count("wrong ")) == (0, 0)


async def test_object_called_encoded_arrives_as_it_is(place: Bucket, tmp_path: Path) -> None:
    """With the listed length and the right hash, it is the object, whatever it is called."""
    dest = tmp_path / "dest"
    place.put("a.parquet", parquet(b"data"), encoding="gzip")
    ran = await asyncsync(place.server.environment(), "--json", "--dest", str(dest))
    assert ran.code == 0
    assert tree(dest) == {"a.parquet": parquet(b"data")}


async def test_run_after_a_kill_goes_on_within_the_object(place: Bucket, tmp_path: Path) -> None:
    """Less than the object comes in the second run, and the file is whole."""
    dest = tmp_path / "dest"
    place.put("large.parquet", LARGE)
    async with Relay(place.server.endpoint_url) as relay:
        settings = place.server.environment() | {"R2_ENDPOINT_URL": relay.endpoint}
        hold = relay.hold("GET", after=3 * MIB)
        async with started(settings, "--dest", str(dest)) as child:
            await hold.stopped.wait()
            await until(lambda: noted(dest) >= 4 * MIB)
            child.kill()
            await child.wait()
        assert tree(dest) == {}
        hold.released.set()
        relay.sent = 0
        again = await asyncsync(settings, "--json", "--dest", str(dest))
        assert (again.code, again.err) == (0, "")
        assert relay.sent < len(LARGE) - 3 * MIB
    assert tree(dest) == {"large.parquet": LARGE}
    assert unfinished(dest) == []


async def test_object_replaced_half_way_is_not_mixed(place: Bucket, tmp_path: Path) -> None:
    """The file that appears is the new object, also where the server ignores If-Match."""
    dest, new = tmp_path / "dest", LARGE[::-1][1:]
    place.put("large.parquet", LARGE)
    async with Relay(place.server.endpoint_url) as relay:
        settings = place.server.environment() | {"R2_ENDPOINT_URL": relay.endpoint}
        hold = relay.hold("large.parquet", after=MIB)
        async with started(settings, "--json", "--dest", str(dest)) as child:
            await hold.stopped.wait()
            place.put("large.parquet", new)
            hold.released.set()
            done = await ended(child)
        again = await asyncsync(settings, "--json", "--dest", str(dest))
    assert done.code in {0, 1}
    assert again.code == 0
    assert tree(dest) == {"large.parquet": new}

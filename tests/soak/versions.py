"""G4 and G5: objects replaced while they are fetched, and bytes that are not the object's."""

import asyncio
import itertools
import random
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from asyncsync.disk import PART
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, flipped, padded
from tests.rigs.fault_run import synced
from tests.soak.figure import Figure, Measured, Trial, total
from tests.soak.scene import ShortLived, real_bucket, real_buckets, some_parquet

KEY = "1hz/a.parquet"
Put = Callable[[str, bytes], object]
XML = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"


def opaque(bucket: Bucket, key: str, data: bytes) -> None:
    """Store an object whose ETag is no hash of it."""
    bucket.multipart(key, data, max(len(data), 1))


# G4 ---------------------------------------------------------------------------------------------

IN_ONE_BUCKET = 50
"""Trials, some hundred megabytes in all."""


@asynccontextmanager
async def replacing(folder: Path) -> AsyncIterator[Trial]:
    """Each trial puts an object, and another one of the size in its place while it is fetched."""
    with real_buckets(folder) as buckets:
        yield partial(_replaced, buckets, itertools.count(), folder / "dest")


async def _replaced(
    buckets: ShortLived, numbers: Iterator[int], dest: Path, rng: random.Random
) -> Measured:
    bucket = buckets.new() if next(numbers) % IN_ONE_BUCKET == 0 else buckets.current
    put: Put = partial(opaque, bucket) if rng.random() < 0.5 else bucket.put
    unchecked = {"if-match": None} if rng.random() < 0.5 else {}  # so the server ignores it
    size = rng.choice([5_000, 300_000, 700_001, PART + 300_000])
    old, new = some_parquet(rng, size), some_parquet(rng, size)
    put(KEY, old)
    shutil.rmtree(dest, ignore_errors=True)
    run = await synced(bucket, dest, *_rules(rng, size, lambda: put(KEY, new), unchecked))
    assert run.tree in ({KEY: new}, {KEY: old}), f"mixed: {size} bytes, {put}, {unchecked}"
    assert run.ended_by == (None, 0), f"{run.ended_by}, {size} bytes, {put}, {unchecked}"
    return {"restarted": run.proxy.count("GET") > 2}


def _rules(
    rng: random.Random, size: int, replace: Callable[[], object], request: dict[str, None]
) -> Sequence[Rule]:
    """Return rules that replace the object at one of the moments at which it can be."""
    moment = rng.choice(["break", "parts", "head", "get"])
    plain = Rule("GET", KEY, Act(request=request))
    if moment == "break":
        cut = Act(stop=rng.randrange(size), ending=rng.choice(["fin", "reset"]), request=request)
        again = Act(do=replace, request=request)
        return [Rule("GET", KEY, cut, nth={1}), Rule("GET", KEY, again, nth={2}), plain]
    came = asyncio.Event()
    then = Act(then=came.set, request=request)
    if moment == "parts" and size > PART:
        second = Act(until=came, do=replace, request=request)
        return [Rule("GET", KEY, second, nth={1}, span=f"bytes={PART}-*"), Rule("GET", KEY, then)]
    if moment == "head":
        return [Rule("HEAD", KEY, Act(until=came, do=replace), nth={1}), Rule("GET", KEY, then)]
    return [Rule("GET", KEY, Act(do=replace, request=request), nth={1}), plain]


G4 = Figure(
    "G4",
    "objects replaced while they are fetched: between parts, behind a break, before GET or HEAD; "
    "with an MD5 or an opaque ETag, by a server that knows If-Match or ignores it",
    "0 mixed files, exit code 0 with one version",
    1000,
    replacing,
)

# G5 ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def falsifying(folder: Path) -> AsyncIterator[Trial]:
    """Each trial fetches an object of which one answer, or all of them, hold other bytes."""
    with real_bucket(folder) as bucket:
        yield partial(_falsified, bucket, folder / "dest")


async def _falsified(bucket: Bucket, dest: Path, rng: random.Random) -> Measured:
    is_opaque = rng.random() < 0.5
    size = rng.choice([100, 5_000, 300_000, 700_001])
    data = some_parquet(rng, size)
    put: Put = partial(opaque, bucket) if is_opaque else bucket.put
    put(KEY, data)
    document = rng.random() < 0.5
    act = Act(body=padded(XML) if document else flipped(rng.randrange(size)))
    stays = rng.random() < 0.5
    shutil.rmtree(dest, ignore_errors=True)
    run = await synced(bucket, dest, Rule("GET", KEY, act, nth=None if stays else {1}))
    caught = run.tree == ({} if stays else {KEY: data})
    if caught:
        assert run.exit_code == int(stays), f"exit code {run.exit_code}"
    kind = "document" if document else "flip"
    said = f"{kind}, {size} bytes, {'stays' if stays else 'once'}: {run.ended_by}"
    assert caught or is_opaque, f"not caught with an MD5 ETag: {said}"
    return {f"{kind}s": is_opaque, f"{kind}s caught": is_opaque and caught, "MD5": not is_opaque}


def _told(measured: Sequence[Measured]) -> str:
    count = {name: int(total(measured, name)) for name in ("flips", "documents", "MD5")}
    caught = {kind: int(total(measured, f"{kind} caught")) for kind in ("flips", "documents")}
    return (
        f"all of {count['MD5']} caught with an MD5 ETag; with an opaque one "
        f"{caught['documents']} of {count['documents']} error documents and "
        f"{caught['flips']} of {count['flips']} flipped bytes"
    )


G5 = Figure(
    "G5",
    "bodies of the right length with a flipped byte, or with an error document in their place",
    "all caught with an MD5 ETag; the rate for opaque ones is told",
    1000,
    falsifying,
    _told,
)

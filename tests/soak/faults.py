"""G3: runs through a proxy that plays one class of faults, in front of a real server."""

import itertools
import random
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from asyncsync.disk import PART
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule, Verb, flipped, padded
from tests.rigs.fault_run import Run, synced
from tests.rigs.scripted import response
from tests.soak.figure import Figure, Measured, Trial
from tests.soak.scene import real_bucket, some_parquet

FEW = ("1hz/", "2hz/")
RUNS = 200
"""Of each class."""
QUICK = {"read_timeout": 0.3, "slow_time": 1.0}
"""Limits of the transport that keep a stall short."""


def error(status: str, code: str = "", **headers: str) -> Act:
    """Return the act of an S3 error; the headers' names have underscores for hyphens."""
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>x</Message></Error>"
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act(instead=response(xml.encode(), status=status, headers=fields))


@dataclass(frozen=True, slots=True)
class Fault:
    """A class of faults, and how a run may end that meets it.

    A run always ends with 0 when the fault passes, unless it is one that is believed at once.
    """

    name: str
    acts: Sequence[Act]
    verbs: Sequence[Verb] = ("LIST", "HEAD", "GET")
    once: frozenset[int] = frozenset({0})
    """Exit codes when the first request about each key or prefix meets it."""
    always: frozenset[int] = frozenset({1, 4})
    """Exit codes when all requests about one key, or all listings, do."""


OBJECT: Sequence[Verb] = ("HEAD", "GET")
BODY: Sequence[Verb] = ("LIST", "GET")
GET: Sequence[Verb] = ("GET",)
HEAD: Sequence[Verb] = ("HEAD",)
NONE, OK = frozenset[int](), frozenset({0})
FAILS, SKIPS, ENDS = frozenset({1}), frozenset({3}), frozenset({4})
HUGE_HEAD = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 12000
XML = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"

FAULTS = [
    Fault("reset in the body", [Act(stop=0, ending="reset"), Act(stop=9, ending="reset")], BODY),
    Fault("end in the body", [Act(stop=0, ending="fin"), Act(stop=9, ending="fin")], BODY),
    Fault("no final chunk", [Act(stop=9, ending="fin", chunked=True)], BODY),
    Fault("bytes too many", [Act(body=lambda body: body + b"x")], GET),
    Fault("stall in the body", [Act(stop=9, ending="stall")], GET),
    Fault("no answer", [Act(instead=b"", ending="stall")]),
    Fault("reset before the answer", [Act(instead=b"", ending="reset")]),
    Fault("huge head", [Act(instead=HUGE_HEAD, ending="fin")]),
    Fault("not HTTP", [Act(instead=b"garbage\r\n\r\n", ending="fin")]),
    Fault("500", [error("500 x", "InternalError")]),
    Fault("502, 504", [error("502 x"), error("504 x")]),
    Fault("503, Retry-After", [error("503 x", "SlowDown", retry_after="3")]),
    Fault("503, odd Retry-After", [error("503 x", "SlowDown", retry_after="soon")]),
    Fault("429", [error("429 x", "TooManyRequests")]),
    Fault("408", [error("408 x")]),
    Fault("RequestTimeout", [error("400 x", "RequestTimeout")], BODY),
    Fault("error document with 200", [Act(instead=response(XML))], GET),
    Fault("web page with 200", [Act(instead=response(b"<html>Log in</html>"))], ("LIST", "GET")),
    Fault("403", [error("403 x", "AccessDenied")], GET, FAILS, FAILS),
    Fault("403 to HEAD alone", [error("403 x", "AccessDenied")], HEAD, OK, OK),
    Fault("404", [error("404 x", "NoSuchKey")], GET, SKIPS, SKIPS),
    Fault("412", [error("412 x", "PreconditionFailed")], GET, OK, FAILS),
    Fault("416", [error("416 x", "InvalidRange")], GET, OK, FAILS),
    Fault("307", [error("307 x", location="http://127.0.0.1:9/")], GET, FAILS, FAILS),
    Fault("400, 501", [error("400 x", "Odd"), error("501 x", "Odd")], ("LIST",), OK, ENDS),
    Fault("401", [error("401 x", "Unauthorized")], GET, FAILS, FAILS),
    Fault("another range", [Act(headers={"content-range": "bytes 7-8/9"})], GET, OK, OK | FAILS),
    Fault("encoded", [Act(headers={"content-encoding": "gzip"})], GET, OK, OK),
    Fault("another version's tag", [Act(headers={"etag": '"other"'})], OBJECT, OK, FAILS),
    Fault("HEAD without length", [Act(headers={"content-length": None})], HEAD, OK, OK),
    Fault("HEAD with another length", [Act(headers={"content-length": "7"})], HEAD, OK, FAILS),
    Fault("flipped byte", [Act(body=flipped(0)), Act(body=flipped(-1))], GET, OK, FAILS),
    Fault("error document of the length", [Act(body=padded(XML))], GET, OK, FAILS),
    Fault("slow answer", [Act(delay=0.02)], always=OK),
    Fault("listing cut", [Act(stop=200, ending="fin", chunked=True)], ("LIST",), OK, ENDS),
]


def contents(rng: random.Random) -> dict[str, bytes]:
    """Return some objects that could be Parquet, of all kinds of sizes."""
    sizes = {
        "1hz/a": 20,
        "1hz/b": 90,
        "2hz/c": 5_000,
        "2hz/d": 200_000,
        "2hz/e": 300_000,
        "parts/f": PART + 300_000,
        "g": 21,
    }
    return {f"{name}.parquet": some_parquet(rng, size) for name, size in sizes.items()}


@asynccontextmanager
async def play(folder: Path) -> AsyncIterator[Trial]:
    """Put the objects into a bucket; each trial syncs them into a folder of its own."""
    objects = contents(random.Random(0))
    with real_bucket(folder) as bucket:
        bucket.put_many(objects)
        yield partial(_trial, bucket, objects, folder / "dest", itertools.cycle(FAULTS))


async def _trial(
    bucket: Bucket,
    objects: dict[str, bytes],
    dest: Path,
    faults: Iterator[Fault],
    rng: random.Random,
) -> Measured:
    fault = next(faults)
    verb = rng.choice(fault.verbs)
    stays = rng.random() < 0.4
    if few := rng.random() < 0.8:  # what comes in parts takes most of the time
        objects = {key: data for key, data in objects.items() if key.startswith(FEW)}
    key = "*" if verb == "LIST" else rng.choice(sorted(objects))
    rule = Rule(verb, key, rng.choice(fault.acts), nth=None if stays else {1})
    shutil.rmtree(dest, ignore_errors=True)
    prefixes = FEW if few else ()
    run = await synced(bucket, dest, rule, attempts=4, transport=QUICK, prefixes=prefixes)
    allowed = fault.always if stays else fault.once
    if stays and allowed == {1, 4}:
        allowed = ENDS if verb == "LIST" else FAILS
    said = f"{fault.name}, {verb}, {'stays' if stays else 'once'}"
    assert run.exit_code in allowed, f"{said}: exit code {run.exit_code}"
    check(run, objects, key, said)
    return {"retried": run.report.retried}


def check(run: Run, objects: dict[str, bytes], key: str, said: str) -> None:
    """Insist that every file is right, and that what is missing met the fault and was named."""
    for name, data in run.tree.items():
        assert objects[name] == data, f"{said}: {name} is wrong"
    missing = objects.keys() - run.tree.keys()
    if run.exit_code in {0, 1, 3}:
        assert missing == run.failures.keys(), f"{said}: {missing} is missing"
        assert missing <= {key}, f"{said}: {missing} is missing, but only {key} met the fault"
    assert run.exit_code or not missing


G3 = Figure(
    "G3",
    f"runs that meet one of {len(FAULTS)} classes of faults, once or all the time",
    "right tree and exit code 0, or the right exit code with exactly the failed keys; no hang",
    RUNS * len(FAULTS),
    play,
)

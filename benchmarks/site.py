"""A work, laid out as files and in a store that lists it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from asyncsync.demo import seaweed
from asyncsync.demo.seaweed import SeaweedServer
from benchmarks import listing, works
from benchmarks.tools import Peers
from benchmarks.works import Work

_BUCKET = "bench"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a work's objects are, and who lists them."""

    work: Work
    bucket: str
    files: Path
    """The folder that holds every object as a file, with the object's LastModified as its mtime."""
    etags: Path
    """Lines of `ETAG KEY`."""
    lister: str
    """HOST:PORT of the server that answers the listing, over plain HTTP."""
    access_key_id: str
    secret_access_key: str


@contextmanager
def serve(work: Work, directory: Path, peers: Peers) -> Iterator[Site]:
    """Lay `work` out below `directory`, unless an earlier run did, and serve its listing."""
    files, etags, done = directory / _BUCKET, directory / "etags", directory / "done"
    fresh = not done.exists()
    if fresh:
        shutil.rmtree(directory, ignore_errors=True)
        files.mkdir(parents=True)
        works.write(work, files)
    if work.stored:
        with seaweed.serve(directory / "store", _BUCKET) as store:
            lister = urlsplit(store.endpoint_url).netloc
            if fresh:
                _fill(store, work, files, etags, peers)
                done.touch()
            yield Site(
                work, _BUCKET, files, etags, lister, store.access_key_id, store.secret_access_key
            )
    else:
        with _listing_only(len(work.objects)) as lister:
            if fresh:
                _pretend(work, files, etags)
                done.touch()
            yield Site(work, _BUCKET, files, etags, lister, "benchmark", "benchmark")


@contextmanager
def _listing_only(count: int) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.listing", str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def _fill(store: SeaweedServer, work: Work, files: Path, etags: Path, peers: Peers) -> None:
    """Upload every file, then take ETag and LastModified from the store's own listing."""
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
        "AWS_REGION": "us-east-1",
    }
    client = [str(peers.s5cmd), "--endpoint-url", store.endpoint_url, "--log", "error"]
    upload = ["--numworkers", "32", "cp", "--part-size", "16", f"{files}/", f"s3://{store.bucket}/"]
    if work.objects:
        subprocess.run([*client, *upload], env=environment, check=True)
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    found: dict[str, int] = {}
    with etags.open("w") as lines:
        for item in (item for page in pages for item in page.get("Contents", [])):
            key, etag = item["Key"], item["ETag"].strip('"')
            lines.write(f"{etag} {key}\n")
            modified = item["LastModified"].timestamp()
            os.utime(files / key, (modified, modified))
            found[key] = item["Size"]
    assert found == work.objects, "the store does not list what was uploaded"


def _pretend(work: Work, files: Path, etags: Path) -> None:
    """Give the empty files of a work that is only listed the tag and the time that are listed."""
    with etags.open("w") as lines:
        for key in work.objects:
            lines.write(f"{listing.EMPTY_ETAG} {key}\n")
            os.utime(f"{files}/{key}", (listing.MODIFIED, listing.MODIFIED))

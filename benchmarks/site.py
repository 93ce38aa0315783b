"""A work, laid out as files and in a store that lists it."""

import hashlib
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
from benchmarks import listing, objects, works
from benchmarks.objects import Entry
from benchmarks.tools import Peers
from benchmarks.works import MIB, Work

_BUCKET = "bench"
_PART_MIB = 16
"""Of the uploads; the ETag of what is larger is no MD5."""
_CREDENTIALS = "benchmark", "a-secret-of-the-benchmark"
"""Of servers that check none. The secret is a word of its own, as tests search for it."""
_CHECKSUMS = Path(__file__).parent / "checksums.py"


@dataclass(frozen=True, slots=True)
class Site:
    """Where a work's objects are, and who lists them."""

    work: Work
    bucket: str
    files: Path
    """The folder that holds every object as a file, with the object's LastModified as its mtime."""
    objects: Path
    """Describes every object, as in `objects.py`."""
    lister: str
    """HOST:PORT of the server that answers the listing, over plain HTTP."""
    access_key_id: str
    secret_access_key: str

    def lay_out(self, destination: Path) -> None:
        """Put every object's file at its path below a folder that is made for it."""
        if self.work.tree is None:
            shutil.copytree(self.files, destination, copy_function=os.link)
        else:
            self.work.tree.write(destination)


@contextmanager
def serve(work: Work, directory: Path, peers: Peers) -> Iterator[Site]:
    """Lay `work` out below `directory`, unless an earlier run did, and serve its listing."""
    files, described = directory / _BUCKET, directory / "objects"
    fresh = not described.exists()
    if fresh:
        shutil.rmtree(directory, ignore_errors=True)
        files.mkdir(parents=True)
        works.write(work, files)
    if work.tree is not None:
        described.touch()  # nobody asks for an object
        with listing_only(str(len(work.tree))) as lister:
            yield Site(work, _BUCKET, files, described, lister, *_CREDENTIALS)
    elif work.stored:
        with seaweed.serve(directory / "store", _BUCKET) as store:
            lister = urlsplit(store.endpoint_url).netloc
            if fresh:
                etags = _fill(store, work, files, peers)
                objects.write(described, _described(work, files, etags, peers))
            yield Site(
                *(work, _BUCKET, files, described, lister),
                *(store.access_key_id, store.secret_access_key),
            )
    else:
        if fresh:
            etags = _pretend(work, files)
            objects.write(described, _described(work, files, etags, peers))
        with listing_only(str(described)) as lister:
            yield Site(work, _BUCKET, files, described, lister, *_CREDENTIALS)


@contextmanager
def listing_only(listed: str) -> Iterator[str]:
    """Serve a listing, and return HOST:PORT; `listed` is as for `listing.py`."""
    command = [sys.executable, "-m", "benchmarks.listing", listed]
    root = Path(__file__).parent.parent
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.communicate()


def _fill(store: SeaweedServer, work: Work, files: Path, peers: Peers) -> dict[str, str]:
    """Upload every file, then take LastModified and ETag from the store's own listing.

    Returns:
        The ETag of every key.
    """
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
        "AWS_REGION": "us-east-1",
    }
    client = [str(peers.s5cmd), "--endpoint-url", store.endpoint_url, "--log", "error"]
    upload = ["--numworkers", "32", "cp", "--part-size", str(_PART_MIB)]
    if work.objects:
        command = [*client, *upload, f"{files}/", f"s3://{store.bucket}/"]
        subprocess.run(command, env=environment, check=True)
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    found: dict[str, int] = {}
    etags: dict[str, str] = {}
    for item in (item for page in pages for item in page.get("Contents", [])):
        key = item["Key"]
        modified = item["LastModified"].timestamp()
        os.utime(files / key, (modified, modified))
        found[key], etags[key] = item["Size"], item["ETag"].strip('"')
    assert found == work.objects, "the store does not list what was uploaded"
    return etags


def _pretend(work: Work, files: Path) -> dict[str, str]:
    """Give the files of a work that no store holds the time that is listed for them.

    Returns:
        The ETag of every key, as if it had been uploaded.
    """
    for key in work.objects:
        os.utime(f"{files}/{key}", (listing.MODIFIED, listing.MODIFIED))
    return {
        key: _etag(files / key) if size else listing.EMPTY_ETAG
        for key, size in work.objects.items()
    }


def _etag(path: Path) -> str:
    with path.open("rb") as file:
        parts = [
            hashlib.md5(part, usedforsecurity=False)
            for part in iter(lambda: file.read(_PART_MIB * MIB), b"")
        ]
    if len(parts) == 1:
        return parts[0].hexdigest()
    whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(parts)}"


def _described(work: Work, files: Path, etags: dict[str, str], peers: Peers) -> Iterator[Entry]:
    command = [str(peers.python), "-I", str(_CHECKSUMS), str(files)]
    paths = "".join(f"{key}\n" for key in work.objects)
    done = subprocess.run(command, input=paths, stdout=subprocess.PIPE, text=True, check=True)
    for (key, size), checksum in zip(work.objects.items(), done.stdout.split(), strict=True):
        yield Entry(size, etags[key], checksum, key)

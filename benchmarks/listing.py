"""A server that only lists: `python -m benchmarks.listing OBJECTS` prints its port and serves.

OBJECTS is a file as `objects.py` describes it, or the number of keys of a tree, which `tree.py`
generates. Millions of objects need not be stored to measure what a listing of them costs. It knows
both versions of the listing, prefix, delimiter, max-keys and HEAD of the bucket, and pages as S3
does. A page of a thousand keys of a tree takes it 1 ms of a processor.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from benchmarks import objects
from benchmarks.tree import AFTER_ALL, Tree

EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
MODIFIED = 1_704_067_200
"""LastModified of every object: the first second of 2024."""

_OBJECT = (
    "<Contents><Key>{}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;{}&quot;</ETag><Size>{}</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents>"
)


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of keys and of what the delimiter rolled up; `next_after` is empty on the last one."""

    keys: list[str]
    prefixes: list[str]
    next_after: str


def list_page(keys: Sequence[str], prefix: str, delimiter: str, after: str, most: int) -> ListPage:
    """Return the first `most` of the sorted `keys` behind `after` that start with `prefix`."""
    page = ListPage([], [], "")
    last = ""
    for entry in _entries(keys, prefix, delimiter, after):
        if len(page.keys) + len(page.prefixes) == most:
            return ListPage(page.keys, page.prefixes, last)
        (page.prefixes if delimiter and entry.endswith(delimiter) else page.keys).append(entry)
        last = entry
    return page


def _entries(keys: Sequence[str], prefix: str, delimiter: str, after: str) -> Iterator[str]:
    index = max(bisect_left(keys, prefix), bisect_right(keys, after))
    while index < len(keys) and keys[index].startswith(prefix):
        key = keys[index]
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield key
            index += 1
            continue
        rolled = key[: end + len(delimiter)]
        if rolled > after:
            yield rolled
        index = bisect_left(keys, rolled + AFTER_ALL)


class Lister(Protocol):
    """What is listed."""

    def page(self, prefix: str, delimiter: str, after: str, most: int) -> tuple[ListPage, str]:
        """Return a page, whose keys are only counted, and their entries as XML."""


class Described:
    """The objects of a file."""

    def __init__(self, path: Path) -> None:
        self._entries = {entry.key: entry for entry in objects.read(path)}
        self._keys = sorted(self._entries)

    def page(self, prefix: str, delimiter: str, after: str, most: int) -> tuple[ListPage, str]:
        """Return a page."""
        page = list_page(self._keys, prefix, delimiter, after, most)
        entries = [self._entries[key] for key in page.keys]
        return page, "".join(_OBJECT.format(entry.key, entry.etag, entry.size) for entry in entries)


class Generated:
    """The keys of a tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def page(self, prefix: str, delimiter: str, after: str, most: int) -> tuple[ListPage, str]:
        """Return a page; its keys are only counted."""
        tree = self._tree
        if delimiter:  # no key is at the top, so that such a page has folders only
            page = list_page(tree, prefix, delimiter, after, most)
            places = [bisect_left(tree, key) for key in page.keys]
            return page, "".join("".join(tree.entries(place, place + 1)) for place in places)
        start, stop, is_truncated = tree.between(prefix, after, most)
        last = tree.key(stop - 1) if is_truncated else ""
        return ListPage([""] * (stop - start), [], last), "".join(tree.entries(start, stop))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lister: ClassVar[Lister]

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        self._answer(render(self.lister, query))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        """Say nothing."""


def render(lister: Lister, query: Mapping[str, str]) -> bytes:
    """Return the answer to a request for a page."""
    names = ("continuation-token", "start-after", "marker")
    after = next(filter(None, map(query.get, names)), "")
    most = min(int(query.get("max-keys", 1000)), 1000)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page, entries = lister.page(prefix, delimiter, after, most)
    following = "NextContinuationToken" if query.get("list-type") == "2" else "NextMarker"
    number = len(page.keys) + len(page.prefixes)
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name>',
            f"<Prefix>{escape(prefix)}</Prefix><Delimiter>{escape(delimiter)}</Delimiter>",
            f"<KeyCount>{number}</KeyCount>" if query.get("list-type") == "2" else "<Marker/>",
            f"<MaxKeys>{most}</MaxKeys>",
            "<EncodingType>url</EncodingType>" if query.get("encoding-type") else "",
            f"<IsTruncated>{'true' if page.next_after else 'false'}</IsTruncated>",
            f"<{following}>{escape(page.next_after)}</{following}>" if page.next_after else "",
            entries,
            *(
                f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                for name in page.prefixes
            ),
            "</ListBucketResult>",
        ]
    ).encode()


def main() -> None:
    """Serve until ended."""
    given = sys.argv[1]
    is_count = given.isdecimal()
    _Handler.lister = Generated(Tree(int(given))) if is_count else Described(Path(given))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

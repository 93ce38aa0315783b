"""A server that only lists: `python -m benchmarks.listing OBJECTS` prints its port and serves.

OBJECTS is a file as `objects.py` describes it. A million objects need not be stored to measure what
a listing of them costs. It knows prefix, delimiter, start-after, continuation-token and max-keys,
and pages as S3 does.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

from benchmarks import objects
from benchmarks.objects import Entry

EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"
MODIFIED = 1_704_067_200
"""LastModified of every object: the first second of 2024."""

_AFTER_ALL = "\U0010ffff"
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


def list_page(keys: list[str], prefix: str, delimiter: str, after: str, most: int) -> ListPage:
    """Return the first `most` of the sorted `keys` behind `after` that start with `prefix`."""
    page = ListPage([], [], "")
    last = ""
    for entry in _entries(keys, prefix, delimiter, after):
        if len(page.keys) + len(page.prefixes) == most:
            return ListPage(page.keys, page.prefixes, last)
        (page.prefixes if delimiter and entry.endswith(delimiter) else page.keys).append(entry)
        last = entry
    return page


def _entries(keys: list[str], prefix: str, delimiter: str, after: str) -> Iterator[str]:
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
        index = bisect_left(keys, rolled + _AFTER_ALL)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    keys: ClassVar[list[str]]
    entries: ClassVar[dict[str, Entry]]

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        after = query.get("continuation-token") or query.get("start-after", "")
        most = int(query.get("max-keys", 1000))
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        page = list_page(self.keys, prefix, delimiter, after, most)
        entries = [self.entries[key] for key in page.keys]
        body = _render(page, entries, prefix, delimiter, most).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it
        """Say nothing."""


def _render(page: ListPage, entries: list[Entry], prefix: str, delimiter: str, most: int) -> str:
    following = f"<NextContinuationToken>{escape(page.next_after)}</NextContinuationToken>"
    return "".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bench</Name>',
            f"<Prefix>{escape(prefix)}</Prefix><Delimiter>{escape(delimiter)}</Delimiter>",
            f"<KeyCount>{len(page.keys) + len(page.prefixes)}</KeyCount><MaxKeys>{most}</MaxKeys>",
            f"<IsTruncated>{'true' if page.next_after else 'false'}</IsTruncated>",
            following if page.next_after else "",
            *(_OBJECT.format(entry.key, entry.etag, entry.size) for entry in entries),
            *(
                f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
                for name in page.prefixes
            ),
            "</ListBucketResult>",
        ]
    )


def main() -> None:
    """Serve until ended."""
    _Handler.entries = {entry.key: entry for entry in objects.read(Path(sys.argv[1]))}
    _Handler.keys = sorted(_Handler.entries)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

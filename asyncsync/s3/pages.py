"""Parses the XML of one ListObjectsV2 answer into a `Page`, or one of ListObjects.

This is the only work of a listing that is done for every key, so it must be fast. Entries that look
exactly like S3's, all with the same elements in the same order, are read with one regular
expression, in half the time that an XML parser takes. The expression matches nothing that XML would
read differently. If a page holds any other entry, the XML parser reads the whole page.

The endpoint is not trusted. A page of more entries, tags or bytes than S3 sends is refused before
it is read, a document type is refused (and with it entities), a size is a number or unknown, and of
a key that is too long only the start and the end are kept.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from urllib.parse import quote, unquote_to_bytes
from xml.etree.ElementTree import Element, ParseError, XMLParser

from asyncsync.columns import made_of
from asyncsync.errors import ListingError, ProtocolError
from asyncsync.keys import MAX_KEY_BYTES, abridged, escaped, is_too_long
from asyncsync.model import LARGEST_SIZE, LAST, UNKNOWN_SIZE, Page, RemoteObject
from asyncsync.times import parse_time, parse_times

_NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""Bytes of a key that are not valid UTF-8, as `surrogateescape` decodes them."""
PAGE_LIMIT = 16 * 1024 * 1024
"""Bytes in a page, at most. 1,000 keys of 1,024 bytes, percent-encoded, take 4 MiB."""
MOST_ENTRIES = 10_000
"""Objects and prefixes on a page, at most. S3 lists 1,000, and nothing here asks for more."""
_LEAST_ENTRY = len("<Contents><Key/></Contents>")
"""Bytes of an entry, at least: so many times `MOST_ENTRIES` are a page of a thousand keys or so."""
MOST_TAGS = 400_000
"""Start and end tags in a page, at most: 20 elements for each entry. S3 writes 14 at most."""
MOST_MARKS = 1_000_000
"""Quotes, references and ends of lines that the XML parser reads at most.

It takes memory for each attribute and for each piece of text between them.
"""
LONGEST_TOKEN = 8 * 1024
"""Characters of a token for the next page, at most. It may hold a percent-encoded key."""
LONGEST_ETAG = 1024
"""Characters of an ETag, at most. A longer one is none."""

_ARCHIVES = {name: name for name in ("GLACIER", "DEEP_ARCHIVE")}
"""Storage classes from which nothing can be read at once. (From GLACIER_IR it can.)"""
_ARCHIVE_MARKS = [f"<StorageClass>{name}<".encode() for name in _ARCHIVES]
MARKER = "\0"
"""What the token begins with that is a marker. No token of a server's holds a NUL."""

_SIZE = re.compile("[0-9]{1,16}")
"""Of an object, in at most as many digits as `LARGEST_SIZE`: converting many takes long."""

_TEXT = "[ -%'-;=?-~]"  # ASCII without markup, references and control characters
_QUOTE = '(?:&quot;|&#34;|")'
_FIELDS = {
    "Key": f"({_TEXT}{{1,{MAX_KEY_BYTES}}})",
    "Size": "([0-9]{1,15})",
    "ETag": f"{_QUOTE}([0-9A-Za-z-]{{1,{LONGEST_ETAG}}}){_QUOTE}",
    "LastModified": f"({_TEXT}+)",
    "StorageClass": f"{_TEXT}*",
    "ChecksumType": f"{_TEXT}*",
    "ChecksumAlgorithm": f"{_TEXT}*",
}
"""The elements of an entry as S3 writes it; the first four are looked at."""
_LOOKED_AT = tuple(_FIELDS)[:4]
_COLUMNS = 1 + len(_LOOKED_AT)
_NAMES = re.compile("<([A-Za-z]+)>")
_MOST_FIELDS = 2 * len(_FIELDS)
_PLACE = b"<Contents/>"
"""Stands where all plain entries were."""
_AN_ENTRY = re.compile(b"[<:]Contents")
"""How the tag of any entry begins, in whatever way it is written."""
_TOO_MANY_ENTRIES = f"not an S3 answer: more than {MOST_ENTRIES:,} entries on a page"


def parse_page(body: bytes) -> Page:
    """Return the page that the XML describes.

    Raises:
        ProtocolError: this is not the XML of a listing, or is larger than one can be.
        ListingError: the page says that more follows, but has no token to continue with.
    """
    _check_bounds(body)
    plain, rest = _plain_entries(body)
    root = _parse(rest)
    if _name(root) != "ListBucketResult":
        raise ProtocolError(f"not an S3 listing, but <{_name(root)[:40]}>")
    namespace = root.tag[: root.tag.find("}") + 1]
    encoded = root.findtext(namespace + "EncodingType") == "url"
    is_place = len(_AN_ENTRY.findall(rest)) == 1  # so nothing else is an entry
    if plain and is_place and root.find(namespace + "Contents") is not None:
        keys, sizes, etags, times = plain
        if encoded and ("%" in (joined := "".join(keys)) or "+" in joined):
            keys = [_decoded(key, encoded) for key in keys]
        columns = (keys, [*map(int, sizes)], etags, parse_times(times), repeat(""))
        objects = made_of(RemoteObject, *columns)
    else:
        root = root if rest is body else _parse(body)  # the keys may be in a comment, say
        objects = _objects(root, namespace, encoded)
    prefixes = [
        _decoded(entry.findtext(namespace + "Prefix", ""), encoded)
        for entry in root.iterfind(namespace + "CommonPrefixes")
    ]
    if len(objects) + len(prefixes) > MOST_ENTRIES:
        raise ProtocolError(_TOO_MANY_ENTRIES)
    if any(map(is_too_long, prefixes)):  # all keys below it would be too long, and never be named
        raise ProtocolError(f"not an S3 answer: a prefix of more than {MAX_KEY_BYTES:,} bytes")
    token = root.findtext(namespace + "NextContinuationToken", "")
    if len(token) > LONGEST_TOKEN:
        raise ProtocolError(f"not an S3 answer: a token of more than {LONGEST_TOKEN:,} bytes")
    is_by_marker = not token and _is_by_marker(root, namespace)
    if is_by_marker:
        token = _decoded(root.findtext(namespace + "NextMarker", ""), encoded)
    said = root.findtext(namespace + "IsTruncated", "").strip().lower()
    truncated = said == "true" or (said != "false" and bool(token))  # if in doubt, go on
    if is_by_marker:
        token = MARKER + (token or _last(objects, prefixes))
    if truncated and token in {"", MARKER}:
        raise ListingError("the listing says that more follows, but has no token to continue with")
    return Page(objects, prefixes, token if truncated else "", is_by_marker)


def _is_by_marker(root: Element, namespace: str) -> bool:
    """Return whether this is an answer of ListObjects, as by a server that knows no version 2."""
    if root.find(namespace + "KeyCount") is not None:
        return False
    return any(root.find(namespace + name) is not None for name in ("Marker", "NextMarker"))


def _last(objects: Sequence[RemoteObject], prefixes: Sequence[str]) -> str:
    """Return the marker behind a page that names none: S3 names one only with a delimiter."""
    last = [remote.key for remote in objects[-1:]] + [prefix + LAST for prefix in prefixes[-1:]]
    return max(last, key=lambda key: key.encode("utf-8", "surrogateescape"), default="")


def _check_bounds(body: bytes) -> None:
    """Refuse a page that would take too much memory, by counting what it is made of."""
    if len(body) < MOST_ENTRIES * _LEAST_ENTRY:
        return  # most pages are smaller
    if len(body) > PAGE_LIMIT:
        raise ProtocolError(f"not an S3 answer: a page of more than {PAGE_LIMIT:,} bytes")
    if (tags := body.count(b"<")) > MOST_TAGS:
        raise ProtocolError(f"not an S3 answer: more than {MOST_TAGS:,} tags")
    if tags <= 4 * MOST_ENTRIES:  # the least of so many entries with a key or a prefix each
        return
    if body.count(b"<Contents") + body.count(b"<CommonPrefixes") > MOST_ENTRIES:
        raise ProtocolError(_TOO_MANY_ENTRIES)


def _plain_entries(body: bytes) -> tuple[Sequence[Sequence[str]], bytes]:
    """Return the keys, sizes, ETags and times of all entries, and the page without the entries.

    If any entry is not plain, or any is archived, return nothing and the page as it is.
    """
    start, end = body.find(b"<Contents>"), body.rfind(b"</Contents>") + len(b"</Contents>")
    if start < 0 or any(mark in body for mark in _ARCHIVE_MARKS):  # no field has the storage class
        return (), body
    try:
        text = body[start:end].decode("ascii")
    except UnicodeDecodeError:
        return (), body
    first = text[: text.find("</Contents>")]
    fields = _NAMES.findall(first)[1 : 2 + _MOST_FIELDS]
    entry = _entry(tuple(fields))
    pieces = entry.split(text) if entry else []
    # What is between the entries, which is nothing if all are plain, and what is inside of them.
    between, *groups = (pieces[place::_COLUMNS] for place in range(_COLUMNS))
    if len(between) < 2 or any(between):
        return (), body
    columns = dict(zip([name for name in fields if name in _LOOKED_AT], groups, strict=True))
    return [columns[name] for name in _LOOKED_AT], body[:start] + _PLACE + body[end:]


@lru_cache(16)
def _entry(fields: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return what matches a plain entry with these elements, in the order that a server keeps to.

    Its groups are the elements that are looked at.
    """
    if len({*fields}) < len(fields) or not {*_LOOKED_AT} <= {*fields} <= {*_FIELDS}:
        return None
    inside = "".join(f"<{name}>{_FIELDS[name]}</{name}>" for name in fields)
    return re.compile(f"<Contents>{inside}</Contents>")


def _objects(root: Element, namespace: str, encoded: bool) -> list[RemoteObject]:
    names = ("Key", "Size", "ETag", "LastModified", "StorageClass")
    tag = {name: namespace + name for name in names}
    return [
        RemoteObject(
            key=_key(entry.findtext(tag["Key"], ""), encoded),
            size=parse_size(entry.findtext(tag["Size"], "")),
            etag=parse_etag(entry.findtext(tag["ETag"], "")),
            modified_ns=parse_time(entry.findtext(tag["LastModified"], "")),
            archive=_ARCHIVES.get(entry.findtext(tag["StorageClass"], ""), ""),
        )
        for entry in root.iterfind(namespace + "Contents")
    ]


def _parse(body: bytes) -> Element:
    if b"<!DOCTYPE" in body or b"\0" in body:  # UTF-16 would hide one, and has NUL bytes
        raise ProtocolError("not an S3 answer: it declares a document type, or is not UTF-8")
    if sum(map(body.count, (b'"', b"'", b"&", b"\n", b"\r"))) > MOST_MARKS:
        raise ProtocolError(f"not an S3 answer: more than {MOST_MARKS:,} quotes and references")
    parser = XMLParser()  # noqa: S314  # safe without a document type: there are no entities
    try:
        parser.feed(body)
        return parser.close()
    except (ParseError, LookupError, ValueError) as error:  # the last two: its encoding
        raise ProtocolError(f"not an S3 answer: {escaped(str(error)[:200])}") from error


def parse_error(body: bytes) -> Mapping[str, str]:
    """Return the fields of an S3 error, such as Code and Message; none if the body is none."""
    try:
        root = _parse(body)
    except ProtocolError:
        return {}
    return {_name(child): child.text or "" for child in root}


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _decoded(text: str, encoded: bool) -> str:
    """Return the key; a percent-encoded one may hold bytes that are not UTF-8."""
    if not encoded or ("%" not in text and "+" not in text):
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "surrogateescape")


def _key(text: str, encoded: bool) -> str:
    key = _decoded(text, encoded)
    return abridged(key) if len(key) > MAX_KEY_BYTES else key


def parse_etag(text: str) -> str:
    """Return an ETag without its quotes; an empty one for what is too long to be one."""
    return text.strip('"') if len(text) <= LONGEST_ETAG else ""


def parse_size(text: str) -> int:
    """Return an object's size in bytes; `UNKNOWN_SIZE` for what cannot be one."""
    if not _SIZE.fullmatch(text):
        return UNKNOWN_SIZE
    size = int(text)
    return size if size <= LARGEST_SIZE else UNKNOWN_SIZE


def page_query(prefix: str, delimiter: str, more: Mapping[str, str]) -> str:
    """Return the query that asks for a page, percent-encoded; what is empty is left out."""
    parameters = {"encoding-type": "url", "prefix": prefix, "delimiter": delimiter, **more}
    return "&".join(
        f"{name}={quote(value.encode('utf-8', 'surrogateescape'), safe='')}"
        for name, value in parameters.items()
        if value
    )


def as_text(prefix: str) -> str:
    """Return what of a prefix a request can hold: text, and no bytes that are not UTF-8."""
    return _NOT_UTF8.split(prefix, maxsplit=1)[0]


def only_with(prefix: str, page: Page) -> Page:
    """Return what of a page begins with a prefix: a request holds only as much of it as is text."""
    return replace(
        page,
        objects=[found for found in page.objects if found.key.startswith(prefix)],
        prefixes=[found for found in page.prefixes if found.startswith(prefix)],
    )

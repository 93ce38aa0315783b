"""The XML of a listing: what is read from it, and what is not believed."""

from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import ListingError, ProtocolError
from asyncsync.model import LAST, UNKNOWN_SIZE, Page, RemoteObject
from asyncsync.s3.pages import MARKER, MOST_TAGS, parse_error, parse_page
from asyncsync.times import parse_time

S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


def listing(*parts: str, namespace: str = S3, encoding: str = "url") -> bytes:
    encoded = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    xmlns = f' xmlns="{namespace}"' if namespace else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<ListBucketResult{xmlns}><Name>b</Name>{encoded}{''.join(parts)}</ListBucketResult>"
    ).encode()


def contents(key: str, size: str = "1", etag: str = "&quot;v1&quot;", modified: str = "") -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag>"
        f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def keys(body: bytes) -> list[str]:
    return [remote.key for remote in parse_page(body).objects]


@pytest.mark.parametrize("namespace", [S3, "", "urn:other"])
def test_page_is_read_in_any_namespace(namespace: str) -> None:
    """Servers differ in it; objects, rolled up prefixes and the next token are found anyway."""
    body = listing(
        "<Prefix>1hz/</Prefix><KeyCount>2</KeyCount><IsTruncated>true</IsTruncated>",
        contents("1hz/b.parquet", "12", "&quot;abc-3&quot;", "2026-01-01T00:00:00.123Z"),
        contents("1hz/a.parquet", "0", "bare", "2026-01-01T00:00:00Z"),
        "<CommonPrefixes><Prefix>1hz/2026/</Prefix></CommonPrefixes>",
        "<CommonPrefixes><Prefix>1hz/x%20y/</Prefix></CommonPrefixes>",
        "<NextContinuationToken>to/ken+%2F==</NextContinuationToken>",
        namespace=namespace,
    )
    assert parse_page(body) == Page(
        [
            RemoteObject("1hz/b.parquet", 12, "abc-3", 1_767_225_600_123_000_000),
            RemoteObject("1hz/a.parquet", 0, "bare", 1_767_225_600_000_000_000),
        ],
        ["1hz/2026/", "1hz/x y/"],
        "to/ken+%2F==",
    )


def test_empty_listing_is_an_empty_page() -> None:
    """Nothing there is an answer."""
    assert parse_page(listing()) == Page([], [], "")


def test_token_of_a_last_page_leads_nowhere() -> None:
    """Only a page that says it is the last one ends the listing where there is a token."""
    token = "<NextContinuationToken>t</NextContinuationToken>"
    for said, leads in (("false", ""), ("False", ""), ("true", "t"), (" TRUE ", "t"), ("", "t")):
        page = parse_page(listing(token, f"<IsTruncated>{said}</IsTruncated>"))
        assert page.next_token == leads
    assert parse_page(listing(token)).next_token == "t"


@pytest.mark.parametrize("token", ["", "<NextContinuationToken/>"])
def test_truncated_page_without_a_token_is_refused(token: str) -> None:
    """More follows, but nobody knows where: such a listing never counts as whole."""
    with pytest.raises(ListingError, match="no token to continue with"):
        parse_page(listing("<IsTruncated>true</IsTruncated>", token))


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("a%25", "a%"),
        ("%C3%A9", "é"),
        ("é", "é"),
        ("%FF", "\udcff"),
        ("%00", "\0"),
        ("%1B%5B2J", "\x1b[2J"),
        ("100%", "100%"),
        ("%zz", "%zz"),
        ("&amp;&lt;", "&<"),
    ],
)
def test_encoded_key_is_decoded_exactly_once(sent: str, key: str) -> None:
    """A plus sign is a space, a percent sign begins a byte, and no result is decoded again."""
    assert keys(listing(contents(sent))) == [key]
    assert parse_page(
        listing(f"<CommonPrefixes><Prefix>{sent}</Prefix></CommonPrefixes>")
    ).prefixes == [key]


@pytest.mark.parametrize("encoding", ["", "none"])
def test_key_of_a_server_that_does_not_encode_is_taken_as_it_is(encoding: str) -> None:
    """It was asked to encode; whether it did is what its answer says."""
    sent = ["a+b", "a%2Fb", "a%252Fb", "a b", "é"]
    assert keys(listing(*map(contents, sent), encoding=encoding)) == sent


@given(st.binary(min_size=1), st.booleans())
def test_any_key_comes_back(raw: bytes, plus: bool) -> None:
    """Encoded with `+` or `%20`, every sequence of bytes is the key it was."""
    sent = quote_plus(raw) if plus else quote(raw)
    assert keys(listing(contents(sent))) == [raw.decode("utf-8", "surrogateescape")]


@pytest.mark.row(56)
@pytest.mark.parametrize(
    "size",
    [
        "",
        "-1",
        "1.5",
        "1e3",
        "x",
        " 1",
        "+1",
        "²",
        "٣",
        "9" * 5000,
        str(2**63),
        str(2**50 + 1),
        "0" * 20 + "5",
    ],
)
def test_size_that_is_no_size_is_not_believed(size: str) -> None:
    """Not a number, or more than any object can have: it counts as unknown."""
    page = parse_page(listing(contents("a", size), contents("b", "5")))
    assert [(found.key, found.size) for found in page.objects] == [("a", UNKNOWN_SIZE), ("b", 5)]


PARTS = [
    "<Key>a%20b</Key>",
    "<Size>7</Size>",
    "<ETag>&quot;v-1&quot;</ETag>",
    "<LastModified>2026-01-01T00:00:00Z</LastModified>",
    "<StorageClass>STANDARD</StorageClass>",
    "<Owner><ID>x</ID></Owner>",
    "<Key>é</Key>",
    "<Key>&amp;</Key>",
    "<Size>-1</Size>",
    '<ETag>W/"v"</ETag>',
    "<ETag>&quot;&quot;</ETag>",
    "<LastModified></LastModified>",
]
ENTRY = st.lists(st.sampled_from(PARTS), max_size=6, unique_by=lambda part: part[:4])


@given(st.lists(ENTRY, max_size=3))
def test_page_is_read_alike_with_and_without_a_pattern(entries: list[list[str]]) -> None:
    """Spaces between the entries, which no S3 sends, keep the pattern from reading them."""
    sent = [f"<Contents>{''.join(parts)}</Contents>" for parts in entries]
    assert parse_page(listing(*sent)) == parse_page(listing(*(f" {entry} " for entry in sent)))


@pytest.mark.parametrize("around", ["<!--{}-->", "<Other>{}</Other>", "<![CDATA[{}]]>"])
def test_keys_in_other_places_are_not_listed(around: str) -> None:
    """What looks like an entry is one only where entries stand."""
    entry = contents("a", modified="2026-01-01T00:00:00Z")
    assert keys(listing(entry)) == ["a"]
    assert keys(listing(around.format(entry))) == []


@pytest.mark.row(56)
def test_missing_size_is_unknown() -> None:
    """The key is listed all the same."""
    page = parse_page(listing("<Contents><Key>a</Key></Contents>"))
    assert page.objects == [RemoteObject("a", UNKNOWN_SIZE, "", 0)]


def test_large_sizes_are_sizes() -> None:
    """Five terabytes are stored somewhere."""
    assert parse_page(listing(contents("a", str(5 * 2**40)))).objects[0].size == 5 * 2**40


@pytest.mark.row(60)
@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1000),
        ("2026-01-01T01:00:00.5+01:00", 1_767_225_600_500_000_000),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999_000_000),
        ("", 0),
        ("yesterday", 0),
        ("2026-01-01T00:00:00", 0),
        ("2026-13-01T00:00:00Z", 0),
        ("2026-01-01T00:00:60Z", 0),
        ("99999-01-01T00:00:00Z", 0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
    ],
)
def test_time_that_cannot_be_read_is_unknown(text: str, nanoseconds: int) -> None:
    """Its object is listed all the same; a time without a zone could be any."""
    assert parse_page(listing(contents("a", modified=text))).objects[0].modified_ns == nanoseconds


def test_object_without_a_version_has_none() -> None:
    """Not every server has ETags."""
    body = listing("<Contents><Key>a</Key><Size>1</Size></Contents>")
    assert parse_page(body).objects == [RemoteObject("a", 1, "", 0)]


BOMB = """<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>"""


@pytest.mark.row(41)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("doctype", [BOMB, "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>"])
def test_document_type_is_refused(doctype: str, encoding: str) -> None:
    """With it go entities, whatever the encoding that hides it."""
    body = f"{doctype}<ListBucketResult><Prefix>&c;</Prefix></ListBucketResult>".encode(encoding)
    with pytest.raises(ProtocolError, match="document type"):
        parse_page(body)
    assert parse_error(body) == {}


@pytest.mark.parametrize("tag", [b"<a/>", b"<a>"], ids=["beside", "inside"])
def test_many_tags_are_not_parsed(tag: bytes) -> None:
    """They would take a hundred times the memory of their bytes."""
    with pytest.raises(ProtocolError, match="more than 400,000 tags"):
        parse_page(b"<ListBucketResult>" + tag * MOST_TAGS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"{}",
        listing(contents("a"))[:-5],
        listing() + b"<more/>",
        listing(contents("raw \x01 control")),
        listing(contents("&#x1;")),
        listing(contents("&undefined;")),
        b"<ListBucketResult>\xff</ListBucketResult>",
        b"<?xml version='1.0' encoding='unheard-of'?><ListBucketResult/>",
        b"<?xml version='1.0' encoding='gbk'?><ListBucketResult/>",
        b"<a>" * 100_000,
    ],
)
def test_what_is_no_xml_is_not_an_s3_answer(body: bytes) -> None:
    """Cut off, of two roots, with raw control characters or in an unknown encoding: refused."""
    with pytest.raises(ProtocolError, match="not an S3 answer"):
        parse_page(body)


@pytest.mark.parametrize("root", ["Error", "html", "LocationConstraint", "x" * 1000])
def test_other_document_is_not_a_listing(root: str) -> None:
    """An error or a login page with status 200 is not an empty bucket."""
    with pytest.raises(ProtocolError, match=f"<{root[:40]}>"):
        parse_page(f"<{root}><Contents/></{root}>".encode())


@given(st.binary())
def test_no_bytes_crash_the_parser(body: bytes) -> None:
    """They are a page, or refused."""
    with suppress(ProtocolError):
        parse_page(body)
    parse_error(body)


def test_error_has_a_code_and_a_message() -> None:
    """In a namespace or without, in any order, one of them or both."""
    assert parse_error(b"<Error><Code>A</Code><Message>b c</Message></Error>") == {
        "Code": "A",
        "Message": "b c",
    }
    assert parse_error(b"<Error xmlns='x'><Message>b</Message><Code>A</Code></Error>") == {
        "Message": "b",
        "Code": "A",
    }
    assert parse_error(b"<Error><Code/></Error>") == {"Code": ""}
    assert parse_error(b"<html><head/></html>") == {"head": ""}
    assert parse_error(b"<Error><Code>A</Co") == {}


# more than S3 sends -----------------------------------------------------------------------------

OWNER = "<Owner><ID>{}</ID><DisplayName>{}</DisplayName></Owner>".format("0" * 64, "n" * 64)
"""With an entry's checksums, storage class and state of restoring, all that S3 writes of one."""
FULL = (
    "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>&quot;0123456789abcdef0123456789abcdef-10000&quot;</ETag>"
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
    "<Size>5497558138880</Size>" + OWNER + "<StorageClass>DEEP_ARCHIVE</StorageClass>"
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2026-01-01T00:00:00Z</RestoreExpiryDate></RestoreStatus></Contents>"
)


@pytest.mark.row(158)
@pytest.mark.parametrize("encoding", ["url", ""])
@pytest.mark.parametrize("prefix", [3, 300])
def test_largest_page_of_real_servers_is_read(encoding: str, prefix: int) -> None:
    """1,000 keys of 1,024 bytes, percent-encoded threefold, and as many prefixes."""
    names = [f"{number:04}" + "é" * 510 for number in range(1000)]
    written = [quote(name) if encoding else name for name in names]
    rolled = [
        f"<CommonPrefixes><Prefix>{name[:-prefix]}/</Prefix></CommonPrefixes>\n  "
        for name in written
    ]
    token = f"<NextContinuationToken>{quote('é' * 512) * 2}</NextContinuationToken>"
    body = listing(*map(FULL.format, written), *rolled, token, encoding=encoding)
    page = parse_page(body)
    assert [remote.key for remote in page.objects] == names
    assert len(page.prefixes) == 1000
    assert len(page.next_token) == 6 * 1024


@pytest.mark.row(158)
def test_page_of_ten_thousand_entries_is_read() -> None:
    """Of objects and prefixes together; also with all that S3 writes of an object."""
    body = listing(
        *[FULL.format("k")] * 9_999, "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
    )
    assert len(parse_page(body).objects) == 9_999


PREFIX = "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>"
TOO_LARGE = {
    "objects": listing(*[contents("a")] * 10_001),
    "prefixes": listing(*[PREFIX] * 10_001),
    "both": listing(*[contents("a")] * 5_001, *[PREFIX] * 5_000),
    "empty objects": listing("<Contents/>" * 40_001),
    "keys of one object": listing(f"<Contents>{'<Key>a</Key>' * 1_300_000}</Contents>"),
    "keys": listing("<Key>a</Key>" * 1_300_000),
    "attributes": listing("<a " + "".join(f'a{n}="" ' for n in range(1_000_000)) + "/>"),
    "references": listing("<a>" + "&lt;" * 4_000_000 + "</a>"),
    "lines": listing("<a>" + "\n" * 16_000_000 + "</a>"),
    "bytes": listing(" " * 16 * 1024 * 1024),
}


@pytest.mark.row(158)
@pytest.mark.parametrize("what", TOO_LARGE)
def test_page_that_is_too_large_is_refused_before_it_is_parsed(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting is enough, and takes no memory."""
    monkeypatch.setattr("asyncsync.s3.pages._entry", None)
    monkeypatch.setattr("asyncsync.s3.pages.XMLParser", None)
    with pytest.raises(ProtocolError, match=r"not an S3 answer: (a page of )?more than"):
        parse_page(TOO_LARGE[what])


@pytest.mark.row(158)
def test_entries_are_counted_in_any_namespace() -> None:
    """Also by a prefix of the tags, which only the parser knows, and if they are empty."""
    with pytest.raises(ProtocolError, match="more than 10,000 entries"):
        parse_page(listing("<Contents/>" * 10_001))
    body = listing("<s:Contents xmlns:s='x'><s:Key>a</s:Key></s:Contents>" * 10_001)
    assert parse_page(body).objects == []
    body = body.replace(b"ListBucketResult", b"s:ListBucketResult").replace(b"xmlns=", b"xmlns:s=")
    with pytest.raises(ProtocolError, match="more than 10,000 entries"):
        parse_page(body.replace(b" xmlns:s='x'", b""))


@pytest.mark.row(157)
def test_key_that_is_too_long_is_abridged() -> None:
    """It is still too long, and still named; the others are read as they are."""
    found = keys(listing(contents("a"), contents("b/" + "x" * 1_000_000 + ".parquet")))
    assert found[0] == "a"
    assert found[1].startswith("b/xxx")
    assert found[1].endswith("xxx.parquet")
    assert 1024 < len(found[1]) < 1200


@pytest.mark.row(157)
def test_prefix_that_is_too_long_is_refused() -> None:
    """No key below it would be named."""
    body = listing(f"<CommonPrefixes><Prefix>{'x' * 1025}/</Prefix></CommonPrefixes>")
    with pytest.raises(ProtocolError, match="a prefix of more than 1,024 bytes"):
        parse_page(body)


@pytest.mark.row(160)
@pytest.mark.parametrize("length", [8 * 1024 + 1, 4 * 1024 * 1024])
def test_token_that_is_too_long_is_refused(length: int) -> None:
    """Each token is remembered, and sent back."""
    body = listing(f"<NextContinuationToken>{'t' * length}</NextContinuationToken>")
    with pytest.raises(ProtocolError, match="a token of more than 8,192 bytes"):
        parse_page(body)


def test_etag_that_is_too_long_is_none() -> None:
    """No request can hold it."""
    assert parse_page(listing(contents("a", etag="e" * 1025))).objects[0].etag == ""


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("GLACIER", "GLACIER"),
        ("DEEP_ARCHIVE", "DEEP_ARCHIVE"),
        ("GLACIER_IR", ""),
        ("INTELLIGENT_TIERING", ""),
        ("STANDARD", ""),
    ],
)
def test_archives_are_told_by_the_storage_class(name: str, archive: str) -> None:
    """Of the whole page only those objects are archived whose class says so."""
    entry = "<Contents><Key>{}</Key><Size>1</Size><ETag>&quot;e&quot;</ETag>{}</Contents>"
    entries = [
        entry.format("a", "<StorageClass>STANDARD</StorageClass>"),
        entry.format("b", f"<StorageClass>{name}</StorageClass>"),
        entry.format("c", ""),
    ]
    page = parse_page(f"<ListBucketResult>{''.join(entries)}</ListBucketResult>".encode())
    assert [(found.key, found.archive) for found in page.objects] == [
        ("a", ""),
        ("b", archive),
        ("c", ""),
    ]


def test_page_of_list_objects_goes_on_behind_a_marker() -> None:
    """Behind NextMarker, or else behind the last key or folder; a token is never taken for one."""
    page = "<ListBucketResult><IsTruncated>true</IsTruncated>{}</ListBucketResult>"
    key, folder = "<Contents><Key>{}</Key></Contents>", "<CommonPrefixes><Prefix>{}</Prefix>{}"
    folder = folder.format("{}", "</CommonPrefixes>")
    for fields, marker in [
        ("<Marker/><NextMarker>m</NextMarker>" + key.format("a"), "m"),
        ("<Marker/>" + key.format("a") + key.format("b"), "b"),
        ("<Marker/>" + key.format("a") + folder.format("b/"), "b/" + LAST),
        ("<Marker/>" + key.format("c") + folder.format("b/"), "c"),
        (
            "<EncodingType>url</EncodingType><NextMarker>a%2Bb</NextMarker>" + key.format("a"),
            "a+b",
        ),
    ]:
        found = parse_page(page.format(fields).encode())
        assert (found.next_token, found.is_by_marker) == (MARKER + marker, True)
    token = "<NextContinuationToken>t</NextContinuationToken><Marker/>"
    found = parse_page(page.format(token + key.format("a")).encode())
    assert (found.next_token, found.is_by_marker) == ("t", False)
    for fields in ("<Marker/>", "<KeyCount>1</KeyCount><Marker/>" + key.format("a")):
        with pytest.raises(ListingError):
            parse_page(page.format(fields).encode())


def _entry(**fields: str) -> str:
    elements = [f"<{name}>{text}</{name}>" for name, text in fields.items()]
    return f"<Contents>{''.join(elements)}</Contents>"


@pytest.mark.parametrize("parser", [None, "used"])
def test_elements_may_come_in_any_order(
    parser: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each server has its own; a page whose entries differ in it is left to the XML parser."""
    time = "2026-01-01T00:00:00Z"
    one = [_entry(Size="1", Key=f"k{n}", LastModified=time, ETag="&quot;v&quot;") for n in (1, 2)]
    other = _entry(Key="k3", ETag='"v"', Size="1", ChecksumType="FULL_OBJECT", LastModified=time)
    if parser is None:
        monkeypatch.setattr("asyncsync.s3.pages._objects", None)
    body = listing(*one) if parser is None else listing(*one, other)
    expected = [RemoteObject(f"k{n}", 1, "v", parse_time(time)) for n in (1, 2, 3)]
    assert parse_page(body).objects == expected[: 2 if parser is None else 3]


@pytest.mark.parametrize("between", ["<Key>k9</Key>", "<Other/>", "&amp;", "<!-- c -->", " "])
def test_what_stands_between_plain_entries_is_left_to_the_parser(between: str) -> None:
    """No entry is read twice, and none is made up."""
    entry = _entry(Key="k1", Size="1", ETag='"v"', LastModified="2026-01-01T00:00:00Z")
    assert keys(listing(entry, between, entry.replace("k1", "k2"))) == ["k1", "k2"]


@pytest.mark.parametrize("attribute", ["", "a='1'"])
@pytest.mark.parametrize("is_first", [True, False])
def test_entry_beside_plain_ones_is_read_however_its_tag_is_written(
    attribute: str, is_first: bool
) -> None:
    """No key is left out that the XML parser sees."""
    plain = _entry(Key="k2", Size="1", ETag='"v"', LastModified="2026-01-01T00:00:00Z")
    odd = f"<Contents {attribute}><Key>k{1 if is_first else 3}</Key></Contents >"
    parts = [odd, plain] if is_first else [plain, odd]
    assert keys(listing(*parts)) == (["k1", "k2"] if is_first else ["k2", "k3"])

"""Signatures: the same as botocore's, for any key, token and day."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from botocore.utils import percent_encode_sequence
from hypothesis import example, given
from hypothesis import strategies as st

from asyncsync.model import Credentials
from asyncsync.s3.clock import STAMP
from asyncsync.s3.sigv4 import Mac, Signer, path_of
from asyncsync.secret import Secret

NOW = datetime(2026, 1, 1, 12, 30, 59, tzinfo=UTC)
SOMEBODY = Credentials("AKID", Secret("secret"), Secret(""))

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
KEYS = st.one_of(
    st.text(min_size=1),
    st.binary(min_size=1).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text("/.%+?#&=;:@ ~*'()\\é\x00\x1b\udcff", min_size=1),
)
QUERY_TEXT = st.text("/.%+?#&=;:@ ~*-_'()\\é\x00\x1baB2")


def botocore_headers(
    method: str,
    url: str,
    credentials: Credentials,
    region: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the headers of the request with what botocore adds at that moment."""
    request = AWSRequest(method, url, headers)
    request.context["timestamp"] = now.strftime(auth.SIGV4_TIMESTAMP)
    signer = auth.S3SigV4Auth(
        BotoCredentials(
            credentials.access_key_id,
            credentials.secret_access_key.reveal(),
            credentials.session_token.reveal() or None,
        ),
        "s3",
        region,
    )
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return {name.lower(): value for name, value in request.headers.items()}


def lowered(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@given(
    method=st.sampled_from(["GET", "HEAD"]),
    key=KEYS,
    host=st.sampled_from(["account.r2.cloudflarestorage.com", "127.0.0.1:8333", "[::1]:9000"]),
    credentials=st.builds(
        Credentials, VISIBLE, VISIBLE.map(Secret), (st.just("") | VISIBLE).map(Secret)
    ),
    region=st.sampled_from(["auto", "us-east-1"]),
    now=st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
)
@example("GET", "a//b/../c/./%2e", "h", SOMEBODY, "auto", NOW)
@example("GET", "100%25 + ü?x=1#y", "h", SOMEBODY, "auto", NOW)
def test_headers_are_those_of_botocore(
    method: str, key: str, host: str, credentials: Credentials, region: str, now: datetime
) -> None:
    """All of them, for hostile keys, raw bytes and session tokens, at any time."""
    path = path_of("/bucket", key)
    ours = Signer(host, region, lambda: now.strftime(STAMP)).sign(method, path, credentials)
    theirs = botocore_headers(method, f"http://{host}{path}", credentials, region, now)
    assert lowered(ours) == theirs


@given(
    key=KEYS,
    credentials=st.builds(
        Credentials, VISIBLE, VISIBLE.map(Secret), (st.just("") | VISIBLE).map(Secret)
    ),
)
def test_wish_for_a_checksum_is_signed_as_by_botocore(key: str, credentials: Credentials) -> None:
    """With and without a session token; it is one more header of HEAD."""
    path = path_of("/bucket", key)
    signer = Signer("h", "auto", lambda: NOW.strftime(STAMP))
    ours = signer.sign("HEAD", path, credentials, wants_checksum=True)
    wish = {"x-amz-checksum-mode": "ENABLED"}
    theirs = botocore_headers("HEAD", f"http://h{path}", credentials, "auto", NOW, wish)
    assert lowered(ours) == theirs
    assert "x-amz-checksum-mode" in ours["authorization"]
    assert "x-amz-checksum-mode" not in signer.sign("HEAD", path, credentials)


@given(st.lists(st.tuples(QUERY_TEXT, QUERY_TEXT), min_size=1))
@example([("prefix", "a/ b+é"), ("list-type", "2"), ("list", "2"), ("a", "~"), ("a", "-")])
def test_query_is_signed_as_by_botocore(pairs: list[tuple[str, str]]) -> None:
    """In whatever order it is sent, and with names that come twice."""
    query = percent_encode_sequence(pairs)
    ours = Signer("h", "auto", lambda: NOW.strftime(STAMP)).sign("GET", "/bucket", SOMEBODY, query)
    theirs = botocore_headers("GET", f"http://h/bucket?{query}", SOMEBODY, "auto", NOW)
    assert lowered(ours) == theirs


@given(KEYS)
def test_path_is_visible_ascii_and_keeps_its_slashes(key: str) -> None:
    """What is signed can be sent as it is, and no key reaches out of its bucket or into a query."""
    path = path_of("/bucket", key)
    assert path.startswith("/bucket/")
    assert path.isascii()
    assert path.isprintable()
    assert not set(path) & set(" ?#\\")
    assert path.count("/") == 2 + key.count("/")


def test_signing_key_is_derived_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of the five steps are saved for all but the first request of a day."""
    steps: list[bytes] = []
    really = Mac.digest

    def counting(mac: Mac, message: bytes) -> bytes:
        steps.append(message)
        return really(mac, message)

    monkeypatch.setattr(Mac, "digest", counting)
    now = NOW
    signer = Signer("h", "auto", lambda: now.strftime(STAMP))
    made = []
    for later in (timedelta(), timedelta(hours=11), timedelta(hours=12), timedelta(hours=13)):
        now = NOW + later
        steps.clear()
        signer.sign("GET", "/b/k", SOMEBODY)
        made.append(len(steps))
    assert made == [5, 1, 5, 1]


def test_kept_key_is_never_used_for_another_day_or_secret() -> None:
    """One signer that goes through all of them signs like a new one each time."""
    now = NOW
    signer = Signer("h", "auto", lambda: now.strftime(STAMP))
    for later in (timedelta(), timedelta(days=1), timedelta(), timedelta(days=365)):
        now = NOW + later
        for secret, token in (("secret", ""), ("other", "t"), ("secret", "t"), ("secret", "")):
            credentials = Credentials("AKID", Secret(secret), Secret(token))
            fresh = Signer("h", "auto", signer._stamp)
            assert signer.sign("GET", "/b/k", credentials) == fresh.sign("GET", "/b/k", credentials)


@given(key=st.binary(max_size=200), message=st.binary())
def test_code_is_that_of_the_standard_library(key: bytes, message: bytes) -> None:
    """For any key and message, however often the key is used."""
    mac = Mac(key)
    for _ in range(2):
        assert mac.digest(message) == hmac.digest(key, message, "sha256")

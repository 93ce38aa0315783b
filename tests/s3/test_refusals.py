"""Which error an answer stands for, row by row."""

import re
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    AuthError,
    BucketError,
    ClockError,
    ProtocolError,
    RedirectError,
    RefusedError,
    RemoteChangedError,
    ServerError,
    SourceError,
    ThrottledError,
    TransferError,
    VanishedError,
)
from asyncsync.model import Names
from asyncsync.s3.refusals import refusal

DATES = st.builds("Mon, {} Jan {} 12:00:00 {}".format, st.integers(), st.integers(), st.integers())


def error_xml(code: str, message: str = "because") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def refused(status: int, code: str = "", key: str | None = "a", **headers: str) -> AsyncSyncError:
    by_name = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(status, by_name, error_xml(code) if code else b"", key)


EVERYWHERE = [
    # this moment
    (429, "", ThrottledError),
    (429, "TooManyRequests", ThrottledError),
    (503, "", ThrottledError),
    (503, "SlowDown", ThrottledError),
    (503, "ServiceUnavailable", ThrottledError),
    (400, "SlowDown", ThrottledError),
    (400, "ThrottlingException", ThrottledError),
    (400, "RequestLimitExceeded", ThrottledError),
    (400, "RequestThrottled", ThrottledError),
    (200, "SlowDown", ThrottledError),
    (408, "", ServerError),
    (500, "", ServerError),
    (500, "InternalError", ServerError),
    (502, "", ServerError),
    (504, "", ServerError),
    (520, "", ServerError),
    (522, "", ServerError),
    (524, "", ServerError),
    (530, "", ServerError),
    (400, "RequestTimeout", ServerError),
    (400, "ClientDisconnect", ServerError),
    (400, "IncompleteBody", ServerError),
    (400, "", ServerError),
    (200, "InternalError", ServerError),
    (200, "", ProtocolError),
    (204, "", ProtocolError),
    (206, "", ProtocolError),
    # the credentials
    (403, "InvalidAccessKeyId", AuthError),
    (400, "ExpiredToken", AuthError),
    (403, "ExpiredToken", AuthError),
    (400, "ExpiredRequest", AuthError),
    (400, "InvalidToken", AuthError),
]
ABOUT_A_KEY = [
    (403, "", AccessDeniedError),
    (403, "AccessDenied", AccessDeniedError),
    (404, "", VanishedError),
    (404, "NoSuchKey", VanishedError),
    (412, "PreconditionFailed", RemoteChangedError),
    (412, "", RemoteChangedError),
    (416, "InvalidRange", RemoteChangedError),
    (400, "InvalidRequest", TransferError),
    (400, "KeyTooLongError", TransferError),
]
ABOUT_THE_LISTING = [
    (403, "", AuthError),
    (403, "AccessDenied", AuthError),
    (404, "", BucketError),
    (400, "InvalidArgument", SourceError),
    (412, "", SourceError),
    (501, "NotImplemented", SourceError),
]
UNCLEAR = [
    (403, "RequestTimeTooSkewed", ClockError),
    (301, "PermanentRedirect", RedirectError),
    (302, "", RedirectError),
    (303, "", RedirectError),
    (307, "TemporaryRedirect", RedirectError),
    (308, "", RedirectError),
    (401, "", AuthError),
    (401, "Unauthorized", AuthError),
    (403, "SignatureDoesNotMatch", AuthError),
    (400, "AuthorizationHeaderMalformed", AuthError),
    (404, "NoSuchBucket", BucketError),
    (400, "InvalidArgument", SourceError),
    (400, "KMS.DisabledException", SourceError),
    (405, "MethodNotAllowed", SourceError),
    (501, "NotImplemented", SourceError),
    (501, "", SourceError),
]
"""About one object or about all: further answers will tell."""


@pytest.mark.row(19, 20, 21, 23, 27, 28, 29, 30, 32, 34, 35)
@pytest.mark.parametrize(("status", "code", "kind"), [*EVERYWHERE, *ABOUT_A_KEY])
def test_answer_about_an_object(status: int, code: str, kind: type[AsyncSyncError]) -> None:
    """Status and code decide; what is about one object only carries its key."""
    error = refused(status, code, key="1hz/a")
    assert type(error) is kind
    if isinstance(error, TransferError):
        assert error.key == "1hz/a"


@pytest.mark.row(27, 28, 36)
@pytest.mark.parametrize(("status", "code", "kind"), UNCLEAR)
def test_answer_that_may_be_about_all_objects(
    status: int, code: str, kind: type[AsyncSyncError]
) -> None:
    """It is told with the object's key, and with what it means if it is about all of them."""
    error = refused(status, code, key="1hz/a")
    assert isinstance(error, RefusedError)
    assert (error.key, error.reason) == ("1hz/a", f"{status} {code}")
    assert type(error.of_run) is kind
    assert str(status) in str(error) or kind is RedirectError


@pytest.mark.row(19, 20, 21, 23, 27, 28, 29, 33)
@pytest.mark.parametrize(("status", "code", "kind"), [*EVERYWHERE, *UNCLEAR, *ABOUT_THE_LISTING])
def test_answer_about_the_listing(status: int, code: str, kind: type[AsyncSyncError]) -> None:
    """Without a listing there is no run: what is not passing ends it."""
    assert type(refused(status, code, key=None)) is kind


def test_message_tells_what_the_server_said() -> None:
    """Status, code and message, on one line and not without end."""
    body = error_xml("Odd\x85Code", "one\n  two &#x9b;31m " + "x" * 5000)
    message = str(refusal(400, {}, body, None))
    assert "400 Odd" in message
    assert "one two" in message
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize(
    "body",
    [b"", b"<html><body>Log in</body></html>", b"\x00\xff\x80", b"<Error>", b"{}"],
)
def test_body_that_is_no_error_of_s3_leaves_the_status(body: bytes) -> None:
    """HEAD has none, portals have pages: the status alone decides."""
    vanished = refusal(404, {}, body, "a")
    assert type(vanished) is VanishedError
    assert not vanished.is_certain
    assert type(refusal(500, {}, body, None)) is ServerError


def test_object_is_certainly_gone_where_the_bucket_says_so() -> None:
    """Which a deletion here relies on."""
    vanished = refusal(404, {}, b"<Error><Code>NoSuchKey</Code></Error>", "a")
    assert isinstance(vanished, VanishedError)
    assert vanished.is_certain


@pytest.mark.parametrize(
    ("status", "fields", "told"),
    [
        (
            400,
            "<Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region>",
            "signed for another region than the bucket's: 400 .*; set R2_REGION=eu-central-1$",
        ),
        (400, "<Code>AuthorizationHeaderMalformed</Code>", "; set R2_REGION$"),
        (
            400,
            "<Code>AuthorizationHeaderMalformed</Code><Region>\n; rm</Region>",
            "; set R2_REGION$",
        ),
        (403, "<Code>ExpiredToken</Code>", "^the session token has expired: .*R2_SESSION_TOKEN"),
        (400, "<Code>InvalidToken</Code>", "^the session token is not accepted.*R2_SESSION_TOKEN"),
        (403, "<Code>InvalidAccessKeyId</Code>", "R2_ACCESS_KEY_ID.*temporary.*R2_SESSION_TOKEN"),
        (400, "<Code>UserProjectMissing</Code>", "^requesters pay.*--request-payer"),
        (403, "<Code>AccessDenied</Code>", "Object Read.*--request-payer"),
        (400, "<Code>InvalidBucketName</Code>", "R2_BUCKET"),
        (403, "<Code>NotSignedUp</Code>", "^the account may not use the service"),
        (403, "<Code>NotEntitled</Code>", "^the account may not use the service"),
        (400, "<Code>InvalidRegionName</Code>", "; set R2_REGION \\(R2's is auto\\)$"),
    ],
)
def test_message_says_what_it_means_and_what_to_do(status: int, fields: str, told: str) -> None:
    """By the code of the error, and by the values that the server adds."""
    error = refusal(status, {}, f"<Error>{fields}</Error>".encode(), None)
    assert error.exit_code == 4
    assert re.search(told, str(error)), str(error)


def test_redirect_to_another_region_names_the_setting() -> None:
    """With the region's name, from a header or from the error."""
    told = "set R2_REGION=eu-west-1, and R2_ENDPOINT_URL to the endpoint of that region"
    body = b"<Error><Code>PermanentRedirect</Code><Region>eu-west-1</Region></Error>"
    assert told in str(refused(301, key=None, x_amz_bucket_region="eu-west-1"))
    assert told in str(refusal(301, {}, body, None))


def test_object_under_a_key_that_is_gone_says_so() -> None:
    """The object fails, with what to do about its key in KMS."""
    error = refused(400, "KMS.DisabledException", key="a")
    assert str(error).startswith("its key in KMS cannot be used: 400 KMS.DisabledException")
    assert "kms:Decrypt" in str(error)


@pytest.mark.row(36)
def test_redirect_names_its_target_and_region_and_no_query() -> None:
    """The target's host and region help; a signed query in it is not repeated."""
    target = "https://bucket.s3.eu-west-1.example/a?X-Amz-Signature=5ec2e7"
    message = str(refused(307, location=target, x_amz_bucket_region="eu-west-1"))
    assert "bucket.s3.eu-west-1.example, region eu-west-1" in message
    assert "5ec2e7" not in message
    assert "another host" in str(refused(301))
    assert str(refused(301, location="https://\x1b[2J", x_amz_bucket_region="\n")).isprintable()


@pytest.mark.parametrize("location", ["https://[::1", "https://[x]/", "//", "::", "http://a]b"])
def test_redirect_to_nonsense_is_a_redirect(location: str) -> None:
    """A target that is no URL is no crash."""
    assert type(refused(302, key=None, location=location)) is RedirectError


@pytest.mark.row(20)
@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        ("86400", 86400.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        (f"Mon, 01 Jan {'9' * 30} 00:00:00 GMT", None),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    """A date in the past asks for no wait; what cannot be read says nothing."""
    error = refused(503, retry_after=text)
    assert isinstance(error, ThrottledError)
    assert error.retry_after == seconds


def test_retry_after_a_date_is_the_time_until_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from now by this machine's clock."""
    now = 1_767_225_600.0
    monkeypatch.setattr(time, "time", lambda: now)
    error = refused(429, retry_after=formatdate(now + 30, usegmt=True))
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 30.0


def test_retry_after_is_none_where_nothing_is_said() -> None:
    """Then the pause is ours."""
    error = refused(503, "SlowDown")
    assert isinstance(error, ThrottledError)
    assert error.retry_after is None


@pytest.mark.row(31)
def test_wrong_clock_is_told_with_its_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """In seconds, by the server's Date; without a readable one the offset is left out."""
    now = 1_767_225_600.0
    monkeypatch.setattr(time, "time", lambda: now)
    date = formatdate(now + 1200, usegmt=True)
    assert "clock is off by -1200 s" in str(refused(403, "RequestTimeTooSkewed", date=date))
    for nothing in ("", "soon", "Mon, 01 Jan 99999 00:00:00 GMT"):
        assert "clock is off:" in str(refused(403, "RequestTimeTooSkewed", date=nothing))


@given(
    st.integers(100, 599),
    st.dictionaries(
        st.sampled_from(["location", "x-amz-bucket-region", "retry-after", "date"]),
        st.text() | DATES,
    ),
    st.binary() | st.text().map(error_xml),
    st.none() | st.text(),
)
def test_every_answer_is_one_printable_error(
    status: int, headers: dict[str, str], body: bytes, key: str | None
) -> None:
    """Whatever an endpoint sends, it ends as one of our errors with a message for a terminal."""
    error = refusal(status, headers, body, key)
    assert isinstance(error, AsyncSyncError)
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (301, ["--endpoint-url"]),
        (401, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]),
        (403, ["--bucket", "--endpoint-url"]),
        (404, ["--bucket", "--endpoint-url"]),
    ],
)
def test_settings_are_called_by_their_names(status: int, named: list[str]) -> None:
    """Those of the run, which are not R2's where AWS's settings are used."""
    names = Names(
        access_key_id="AWS_ACCESS_KEY_ID",
        secret_access_key="AWS_SECRET_ACCESS_KEY",
        endpoint_url="--endpoint-url",
        bucket="--bucket",
    )
    said = str(refusal(status, {}, error_xml("Other"), None, names=names))
    assert [name for name in named if name not in said] == []
    assert "R2_" not in said


@pytest.mark.parametrize(("status", "code"), [(400, "AuthorizationHeaderMalformed"), (301, "")])
def test_region_of_a_profile_is_not_told_as_a_variable(status: int, code: str) -> None:
    """Its name is no word that a value could be assigned to."""
    names = Names(region="region of profile data")
    error = refusal(status, {"x-amz-bucket-region": "eu-1"}, error_xml(code), None, names=names)
    assert "set region of profile data to eu-1" in str(error)

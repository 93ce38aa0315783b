"""What it means when the endpoint does not give what it was asked for: one answer, one error."""

import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from asyncsync.errors import (
    AccessDeniedError,
    AsyncSyncError,
    AuthError,
    BucketError,
    ClockError,
    ProtocolError,
    RedirectError,
    RemoteChangedError,
    ServerError,
    SourceError,
    ThrottledError,
    TransferError,
    VanishedError,
)
from asyncsync.keys import shown
from asyncsync.s3.pages import parse_error
from asyncsync.times import parse_http_date

_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {429, 503}
_BUSY_CODES = {"SlowDown", "TooManyRequests"}
_PASSING = {408, 500, 502, 504, *range(520, 531)}
_PASSING_CODES = {"RequestTimeout", "ClientDisconnect", "IncompleteBody", "InternalError"}
_CODES_OF_ONE_KEY = {"InvalidObjectName", "InvalidRequest", "InvalidURI", "KeyTooLongError"}
"""Of a 400; InvalidRequest is what an object gets that is stored under a key of the customer's."""
_AUTH_CODES = {
    "AuthorizationHeaderMalformed",
    "ExpiredRequest",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "Unauthorized",
}


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, key: str | None
) -> AsyncSyncError:
    """Return the error that an answer stands for.

    Args:
        status: of HTTP; also a 2xx that is not the one that was asked for.
        headers: by lower-cased name.
        body: an S3 error, anything else, or empty, as after HEAD.
        key: what the request was about; None for the listing.
    """
    code, message = parse_error(body)
    said = shown(" ".join(f"{status} {code} {message}".split())[:300]).rstrip(".")
    return (
        _about_the_way(status, headers)
        or _about_this_moment(status, code, said, headers, body)
        or _about_the_credentials(status, code, said, headers)
        or _about_the_bucket(status, code, said, key)
        or (_about_the_key(status, code, said, key) if key is not None else _not_s3(said))
    )


def _about_the_way(status: int, headers: Mapping[str, str]) -> AsyncSyncError | None:
    if status not in _REDIRECTS:
        return None
    try:
        target = shown(urlsplit(headers.get("location", "")).netloc) or "another host"
    except ValueError:
        target = "an address that is none"
    region = shown(headers.get("x-amz-bucket-region", ""))
    return RedirectError(
        f"the endpoint redirects to {target}{region and f', region {region}'}, which is not "
        "followed; set R2_ENDPOINT_URL to the right endpoint"
    )


def _about_this_moment(
    status: int, code: str, said: str, headers: Mapping[str, str], body: bytes
) -> AsyncSyncError | None:
    if status in _BUSY or code in _BUSY_CODES:
        return ThrottledError(f"the server is busy: {said}", _retry_after(headers))
    # R2 says 400 when it gave up waiting, and to HEAD it cannot say why.
    if status in _PASSING or code in _PASSING_CODES or (status == 400 and not body):
        return ServerError(f"the server failed: {said}")
    if status < 300:  # a success, but not the one that was asked for
        return ProtocolError(f"status {status} is not the answer to what was asked")
    return None


def _about_the_credentials(
    status: int, code: str, said: str, headers: Mapping[str, str]
) -> AsyncSyncError | None:
    if code == "RequestTimeTooSkewed":
        date = parse_http_date(headers.get("date", ""))
        ahead = None if date is None else time.time() - date
        offset = "" if ahead is None else f" by {ahead:+.0f} s"
        return ClockError(f"this machine's clock is off{offset}: {said}", ahead)
    if status == 401 or code in _AUTH_CODES:
        return AuthError(
            f"the credentials are not accepted: {said}; check R2_ACCESS_KEY_ID and "
            "R2_SECRET_ACCESS_KEY (a new token may need up to a minute)"
        )
    return None


def _about_the_bucket(status: int, code: str, said: str, key: str | None) -> AsyncSyncError | None:
    if code == "NoSuchBucket" or (status == 404 and key is None):
        return BucketError(
            f"no such bucket: {said}; check R2_BUCKET and R2_ENDPOINT_URL (a bucket with a "
            "jurisdiction has an endpoint of its own, such as <account>.eu.r2...)"
        )
    if status == 403 and key is None:
        return AuthError(
            f"the credentials may not list the bucket: {said}; give the token the permission "
            "Object Read for it, and check R2_BUCKET and R2_ENDPOINT_URL (a bucket with a "
            "jurisdiction has an endpoint of its own, such as <account>.eu.r2...)"
        )
    return None


def _about_the_key(status: int, code: str, said: str, key: str) -> TransferError | SourceError:
    match status:
        case 403:
            return AccessDeniedError(key, f"access denied: {said}")
        case 404:
            return VanishedError(key, "deleted since it was listed")
        case 412 | 416:
            return RemoteChangedError(key, f"replaced since it was listed: {said}")
        case 501:
            return _not_s3(said)
        case 400 if code not in _CODES_OF_ONE_KEY:  # it takes no request that is made like this one
            return _not_s3(said)
        case _:
            return TransferError(key, f"the endpoint refuses: {said}")


def _not_s3(said: str) -> SourceError:
    return SourceError(f"the endpoint does not answer like S3: {said}")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the server asks to wait, None where it says nothing readable."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    date = parse_http_date(text)
    return None if date is None else max(0.0, date - time.time())

"""Turns an unexpected answer of the endpoint into one error."""

import re
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
    RefusedError,
    RemoteChangedError,
    ServerError,
    SourceError,
    ThrottledError,
    TransferError,
    TransientError,
    VanishedError,
)
from asyncsync.keys import escaped, shown
from asyncsync.model import Names
from asyncsync.s3.clock import agree
from asyncsync.s3.pages import parse_error
from asyncsync.times import parse_http_date

_OF_R2 = Names()
_REDIRECTS = {301, 302, 303, 307, 308}
_BUSY = {429, 503}
_BUSY_CODES = {
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequests",
    "TooManyRequestsException",
}
"""Of a 400 as well as of a 429 or 503."""
_PASSING = {408, 500, 502, 504, *range(520, 531)}
_PASSING_CODES = {"RequestTimeout", "ClientDisconnect", "IncompleteBody", "InternalError"}
_CODES_OF_ONE_KEY = {"InvalidObjectName", "InvalidRequest", "InvalidURI", "KeyTooLongError"}
"""Of a 400."""
_CREDENTIAL_CODES = {"ExpiredRequest", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken"}
"""About the credentials alone, whatever was requested with them."""
_WANTS_KEY = re.compile("server.side.encryption", re.IGNORECASE)
"""In what servers say of an object that is encrypted with a customer's key; their codes differ."""
_SIGN = "leave out --no-sign-request, and set credentials that may read it"
_AUTH_CODES = {
    *_CREDENTIAL_CODES,
    "AuthorizationHeaderMalformed",
    "SignatureDoesNotMatch",
    "Unauthorized",
}


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    key: str | None,
    *,
    is_signed: bool = True,
    names: Names = _OF_R2,
) -> AsyncSyncError:
    """Return the error that an answer stands for.

    Args:
        status: the HTTP status; also a 2xx other than the expected one.
        headers: by lower-case name.
        body: an S3 error, something else, or nothing, as after HEAD.
        key: the object that was requested; None for a listing.
        is_signed: whether the request had a signature.
        names: what messages call the settings.
    """
    code, message = parse_error(body)
    said = escaped(" ".join(f"{status} {code} {message}".split())[:300]).rstrip(".")
    if passing := _transient(status, code, said, headers, body):
        return passing
    of_run = (
        _redirected(status, headers, names)
        or (
            _unauthorized(status, code, said, headers, names)
            if is_signed
            else _unsigned(status, said, key)
        )
        or _bucket_refused(status, code, said, key, names)
    )
    if key is None:
        return of_run or _not_s3(said)
    if of_run and (
        code in _CREDENTIAL_CODES or (isinstance(of_run, ClockError) and not agree(of_run.ahead))
    ):
        return of_run
    if of_run is None and (of_object := _object_refused(status, code, said, key, is_signed)):
        return of_object
    text = str(of_run) if isinstance(of_run, RedirectError) else f"the endpoint refuses: {said}"
    return RefusedError(key, text, f"{status} {code}", of_run or _not_s3(said))


def _not_s3(said: str) -> SourceError:
    return SourceError(f"the endpoint does not answer like S3: {said}")


def _redirected(status: int, headers: Mapping[str, str], names: Names) -> SourceError | None:
    if status not in _REDIRECTS:
        return None
    try:
        target = shown(urlsplit(headers.get("location", "")).netloc) or "another host"
    except ValueError:
        target = "an invalid address"
    region = shown(headers.get("x-amz-bucket-region", ""))
    return RedirectError(
        f"the endpoint redirects to {target}{region and f', region {region}'}, which "
        f"asyncsync does not follow; set {names.endpoint_url} to the right endpoint"
    )


def _transient(
    status: int, code: str, said: str, headers: Mapping[str, str], body: bytes
) -> TransientError | None:
    if status in _BUSY or code in _BUSY_CODES:
        return ThrottledError(f"the server is busy: {said}", _retry_after(headers))
    # R2 answers 400 when it gave up waiting, and an answer to HEAD has no body to say so.
    if status in _PASSING or code in _PASSING_CODES or (status == 400 and not body):
        return ServerError(f"the server failed: {said}")
    if status < 300:  # a success, but not the expected one
        return ProtocolError(f"status {status} does not answer the request")
    return None


def _unsigned(status: int, said: str, key: str | None) -> SourceError | None:
    if status in {401, 403} and key is None:
        return AuthError(f"the bucket cannot be listed without a signature: {said}; {_SIGN}")
    return None


def _unauthorized(
    status: int, code: str, said: str, headers: Mapping[str, str], names: Names
) -> SourceError | None:
    if code == "RequestTimeTooSkewed":
        date = parse_http_date(headers.get("date", ""))
        ahead = None if date is None else time.time() - date
        if agree(ahead):
            return ClockError(
                f"the server refuses the time of a request, though the clocks agree: {said}", ahead
            )
        offset = "" if ahead is None else f" by {ahead:+.0f} s"
        return ClockError(f"this machine's clock is off{offset}: {said}", ahead)
    if status == 401 or code in _AUTH_CODES:
        return AuthError(
            f"the credentials are not accepted: {said}; check {names.access_key_id} and "
            f"{names.secret_access_key} (a new token may need up to a minute)"
        )
    return None


def _bucket_refused(
    status: int, code: str, said: str, key: str | None, names: Names
) -> SourceError | None:
    if code == "NoSuchBucket" or (status == 404 and key is None):
        return BucketError(
            f"no such bucket: {said}; check {names.bucket} and {names.endpoint_url} "
            "(a bucket with a jurisdiction has its own endpoint, such as <account>.eu.r2...)"
        )
    if status == 403 and key is None:
        return AuthError(
            f"the credentials do not allow listing the bucket: {said}; give the token the "
            f"permission Object Read for it, and check {names.bucket} and {names.endpoint_url} "
            "(a bucket with a jurisdiction has its own endpoint, such as <account>.eu.r2...)"
        )
    return None


def _object_refused(
    status: int, code: str, said: str, key: str, is_signed: bool
) -> TransferError | None:
    """Return what is wrong with the object, however many others are like it; None if unknown."""
    match status:
        case 401 | 403 if not is_signed:
            return AccessDeniedError(key, f"access denied without a signature: {said}; {_SIGN}")
        case 403:
            return AccessDeniedError(key, f"access denied: {said}")
        case 404:
            return VanishedError(key, "deleted since it was listed")
        case 412 | 416:
            return RemoteChangedError(key, f"replaced since it was listed: {said}")
        case 400 if _WANTS_KEY.search(said):
            return TransferError(
                key,
                "encrypted with a customer's key (SSE-C), which asyncsync cannot send: "
                f"{said}; `--exclude` it, or store it without one",
            )
        case 400 if code in _CODES_OF_ONE_KEY:
            return TransferError(key, f"the endpoint refuses: {said}")
        case _:
            return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait; None if it does not say."""
    text = headers.get("retry-after", "")
    if text.isascii() and text.isdigit():
        return float(text)
    date = parse_http_date(text)
    return None if date is None else max(0.0, date - time.time())

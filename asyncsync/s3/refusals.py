"""Turns an unexpected answer of the endpoint into one error; `meanings.py` explains codes."""

import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import urlsplit

from asyncsync.errors import (
    AccessDeniedError,
    ArchivedError,
    AsyncSyncError,
    AuthError,
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
from asyncsync.s3.meanings import (
    DENIED,
    MEANINGS,
    NO_BUCKET,
    NO_LISTING,
    OTHER_REGION,
    Meaning,
    assignment,
)
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
_WANTS_KEY = re.compile("server.side.encryption", re.IGNORECASE)
"""In what servers say of an object that is encrypted with a customer's key; their codes differ."""
_REGION = re.compile("[a-z0-9-]{1,63}")
_SIGN = "leave out --no-sign-request, and set credentials that may read it"


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
    fields = parse_error(body)
    code = fields.get("Code", "")
    said = " ".join(f"{status} {code} {fields.get('Message', '')}".split())
    said = escaped(said[:300]).rstrip(".")
    if passing := _transient(status, code, said, headers, body):
        return passing
    if not is_signed and status in {401, 403}:
        return _unsigned(said, key)
    if code == "RequestTimeTooSkewed":
        clock = _clock_refused(said, headers)
        return _of_one(clock, status, code, str(clock), key)
    region = headers.get("x-amz-bucket-region") or fields.get("Region", "")
    region = region if _REGION.fullmatch(region) else ""
    if status in _REDIRECTS:
        redirect = _redirected(headers, region, names)
        return _of_one(redirect, status, code, str(redirect), key)
    meaning = MEANINGS.get(code) or _meaning_of(status, key)
    if meaning is None:
        of_object = None if key is None else _object_refused(status, code, said, key)
        text = f"the endpoint refuses: {said}"
        unlike = f"the endpoint does not answer like S3: {said}; check {names.endpoint_url}"
        unknown = SourceError(text if code else unlike)
        return of_object or _of_one(unknown, status, code, text, key)
    advice = meaning.advice.format(**asdict(names))
    if meaning is OTHER_REGION and region:
        advice = f"set {assignment(names.region, region)}"
    of_run = meaning.kind(f"{meaning.what}: {said}; {advice}")
    if meaning.is_of_credentials:
        return of_run
    is_unclear = meaning.kind is not SourceError  # then it may not hold for others
    text = f"the endpoint refuses: {said}" if is_unclear else str(of_run)
    return _of_one(of_run, status, code, text, key)


def _of_one(
    of_run: SourceError, status: int, code: str, text: str, key: str | None
) -> SourceError | RefusedError:
    """Return what an answer says of one object, or of the run if it answers a listing."""
    return of_run if key is None else RefusedError(key, text, f"{status} {code}", of_run)


def _unsigned(said: str, key: str | None) -> AsyncSyncError:
    if key is None:
        return AuthError(f"the bucket cannot be listed without a signature: {said}; {_SIGN}")
    return AccessDeniedError(key, f"access denied without a signature: {said}; {_SIGN}")


def _meaning_of(status: int, key: str | None) -> Meaning | None:
    """Return what an answer means that has no code of S3's, as after HEAD."""
    if status == 401:
        return DENIED
    if key is None and status in {403, 404}:
        return NO_LISTING if status == 403 else NO_BUCKET
    return None


def _redirected(headers: Mapping[str, str], region: str, names: Names) -> RedirectError:
    try:
        target = shown(urlsplit(headers.get("location", "")).netloc) or "another host"
    except ValueError:
        target = "an invalid address"
    of_region, advice = "", f"set {names.endpoint_url} to the right endpoint"
    if region:
        of_region = f", region {region}"
        advice = (
            f"set {assignment(names.region, region)}, and {names.endpoint_url} to the endpoint of "
            "that region"
        )
    return RedirectError(
        f"the endpoint redirects to {target}{of_region}, which asyncsync does not follow; {advice}"
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


def _clock_refused(said: str, headers: Mapping[str, str]) -> ClockError:
    date = parse_http_date(headers.get("date", ""))
    ahead = None if date is None else time.time() - date
    if agree(ahead):
        text = f"the server refuses the time of a request, though the clocks agree: {said}"
        return ClockError(text, ahead)
    offset = "" if ahead is None else f" by {ahead:+.0f} s"
    return ClockError(f"this machine's clock is off{offset}: {said}", ahead)


def _object_refused(status: int, code: str, said: str, key: str) -> TransferError | None:
    """Return what is wrong with the object, however many others are like it; None if unknown."""
    match status:
        case 403 if code == "InvalidObjectState":
            return ArchivedError(key)
        case 403:
            return AccessDeniedError(key, f"access denied: {said}")
        case 404:
            is_certain = code == "NoSuchKey"
            return VanishedError(key, "deleted since it was listed", is_certain=is_certain)
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

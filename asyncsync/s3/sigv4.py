"""AWS Signature Version 4 for requests without a body.

The signing key depends only on the secret and the day, so it is derived once and cached.
"""

import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from asyncsync.model import Credentials
from asyncsync.s3.clock import STAMP
from asyncsync.secret import SignedHeaders

CHECKSUM_MODE = "x-amz-checksum-mode"
_NO_BODY = hashlib.sha256(b"").hexdigest()


def path_of(bucket: str, key: str) -> str:
    """Return the path of an object as it is signed and sent; bytes that are not UTF-8 are kept."""
    return f"/{bucket}/{quote(key.encode('utf-8', 'surrogateescape'), safe='/~')}"


class Signer:
    """Signs GET and HEAD requests to one host."""

    def __init__(self, host: str, region: str, now: Callable[[], datetime]) -> None:
        self._host = host
        self._region = region
        self._now = now
        self._key = b""
        self._token = ""
        self._derived_from: tuple[str, Credentials | None] = ("", None)

    def sign(
        self,
        method: str,
        path: str,
        credentials: Credentials,
        query: str = "",
        *,
        wants_checksum: bool = False,
    ) -> SignedHeaders:
        """Return the headers that authenticate a request, by lower-cased name.

        Args:
            method: in upper case.
            path: percent-encoded, as it will be sent.
            credentials: the current ones; they may have been renewed since the last request.
            query: percent-encoded, as it will be sent; its names in any order.
            wants_checksum: whether to ask for the object's checksum, if there is one.
        """
        time = self._now().strftime(STAMP)
        day = time[:8]
        if self._derived_from != (day, credentials):
            self._derive(day, credentials)
        signed = f"x-amz-content-sha256:{_NO_BODY}\nx-amz-date:{time}\n"
        names = "x-amz-content-sha256;x-amz-date"
        headers = SignedHeaders()
        if wants_checksum:
            signed = f"{CHECKSUM_MODE}:ENABLED\n{signed}"
            names = f"{CHECKSUM_MODE};{names}"
            headers[CHECKSUM_MODE] = "ENABLED"
        signed, names = f"host:{self._host}\n{signed}", f"host;{names}"
        headers["x-amz-content-sha256"] = _NO_BODY
        headers["x-amz-date"] = time
        if self._token:
            signed += f"x-amz-security-token:{self._token}\n"
            names += ";x-amz-security-token"
            headers["x-amz-security-token"] = self._token
        request = f"{method}\n{path}\n{query and _in_order(query)}\n{signed}\n{names}\n{_NO_BODY}"
        scope = f"{day}/{self._region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}"
        signature = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        return headers

    def _derive(self, day: str, credentials: Credentials) -> None:
        key = b"AWS4" + credentials.secret_access_key.reveal().encode()
        for step in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, step.encode(), "sha256")
        self._key, self._token = key, credentials.session_token.reveal()
        self._derived_from = day, credentials


def _in_order(query: str) -> str:
    """Return the query as it is signed: by name, then value, each name with an equals sign."""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)

"""Checks the endpoint's URL before any connection: its form, and whether it is safe to use."""

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit

from asyncsync.errors import ConfigError
from asyncsync.secret import Secret
from asyncsync.services import buckets_of, has_own_paths

_NAME = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.|$))+")  # what botocore accepts
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+)*")
"""A path that is signed as it is sent."""
_EXAMPLE = "https://<account>.r2.cloudflarestorage.com, with the account's ID for <account>"


_PORTS = {"http": 80, "https": 443}


def bucket_identity(endpoint_url: str, bucket: str) -> str:
    """Return what names a bucket, the same however its endpoint is spelled.

    The scheme, upper and lower case, the usual port and a slash or a dot at the end do not matter;
    nor does it matter which of AWS's endpoints for S3 it is, as all lead to the same bucket.
    """
    parts = urlsplit(endpoint_url)
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost":
        host = "127.0.0.1"
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    place = (buckets_of(host) + port, parts.path.strip("/"), bucket)
    return "/".join(part for part in place if part)


def endpoint(url: Secret, bucket: Secret, variable: str, *, allow_http: bool) -> str:
    """Return scheme, host, port and path. The bucket's name, which is often added, is cut.

    Args:
        url: as it was set.
        bucket: the bucket's name: at the end of the path, or in front of a host of R2's or AWS's.
        variable: what messages call the setting.
        allow_http: whether data may be sent unencrypted to another machine.

    Raises:
        ConfigError: it is not a plain address, or would send data unencrypted. The message does not
            show it, since a secret may have been pasted there.
    """
    try:
        return _checked(url.reveal(), bucket.reveal(), allow_http)
    except ValueError as error:
        problem = str(error)
    raise ConfigError(f"{variable}: {problem}")  # anew: the frames of the other hold the URL


def is_unencrypted(endpoint_url: str) -> bool:
    """Return whether what is sent to an endpoint can be read on the way to another machine."""
    parts = urlsplit(endpoint_url)
    host = parts.hostname or ""
    address = _address(host)
    is_loopback = address.is_loopback if address else host == "localhost"
    return parts.scheme == "http" and not is_loopback


def _checked(url: str, bucket: str, allow_http: bool) -> str:
    if "://" not in url:
        raise ValueError(f"has no scheme; it should look like {_EXAMPLE}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # not kept as the cause: its message can show a password as the port
        raise ValueError(f"not a URL; it should look like {_EXAMPLE}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user name or password; the credentials are settings of their own")
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError(f"not an HTTP address; it should look like {_EXAMPLE}")
    if not _address(host) and not _NAME.fullmatch(host):
        raise ValueError(f"not a valid host name; it should look like {_EXAMPLE}")
    if is_unencrypted(url) and not allow_http:
        raise ValueError(
            "http:// would send data unencrypted; use https://, or --allow-http if nobody else "
            "can listen on the way"
        )
    netloc, without = parts.netloc, host.removeprefix(f"{bucket}.")
    if has_own_paths(host) and not has_own_paths(without):
        netloc, host = netloc[len(host) - len(without) :], without
    return f"{parts.scheme}://{netloc}{_path(parts, host, bucket)}"


def _path(parts: SplitResult, host: str, bucket: str) -> str:
    """Return the path in front of the bucket's name."""
    path = parts.path.rstrip("/")
    for name in {bucket, quote(bucket, safe="")}:
        if path.endswith(f"/{name}"):
            path = path.removesuffix(f"/{name}")
            break
    if parts.query or parts.fragment or (path and not has_own_paths(host)):
        raise ValueError(
            f"the path after the host is not the bucket's name; it should look like {_EXAMPLE}"
        )
    if not _PATH.fullmatch(path):
        raise ValueError(
            "the path after the host has an empty name, dots alone, or other characters than "
            "letters, digits, '-', '.', '_', '~' and those written as %2F"
        )
    return path


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

"""Checks the endpoint's URL before any connection: its form, and whether it is safe to use."""

import ipaddress
import re
from urllib.parse import urlsplit

from asyncsync.errors import ConfigError
from asyncsync.secret import Secret

_NAME = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.|$))+")  # what botocore accepts


_PORTS = {"http": 80, "https": 443}


def bucket_identity(endpoint_url: str, bucket: str) -> str:
    """Return what names a bucket, the same however its endpoint is spelled.

    The scheme, upper and lower case, the usual port and a slash or a dot at the end do not matter;
    nor does it matter which of AWS's endpoints it is, as all of them lead to the same bucket.
    """
    parts = urlsplit(endpoint_url)
    host = (parts.hostname or "").rstrip(".")
    if host == "localhost":
        host = "127.0.0.1"
    if host.endswith(".amazonaws.com"):
        host = "amazonaws.com"
    port = "" if parts.port in {None, _PORTS.get(parts.scheme)} else f":{parts.port}"
    return "/".join(part for part in (host + port, parts.path.strip("/"), bucket) if part)


def endpoint(url: Secret, bucket: str) -> str:
    """Return scheme, host and port. The bucket's name as path, as the dashboard adds it, is cut.

    Raises:
        ConfigError: it is not a plain address, or would send data unencrypted. The message does not
            show it, since a secret may have been pasted there.
    """
    try:
        return _checked(url.reveal(), bucket)
    except ValueError as error:
        problem = str(error)
    raise ConfigError(problem)  # anew: the frames of the other hold the URL


def _checked(url: str, bucket: str) -> str:
    variable = "R2_ENDPOINT_URL"
    example = "https://<account>.r2.cloudflarestorage.com, with the account's ID for <account>"
    if "://" not in url:
        raise ValueError(f"{variable}: has no scheme; it should look like {example}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # not kept as the cause: its message can show a password as the port
        raise ValueError(f"{variable}: not a URL; it should look like {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            f"{variable}: has a user name or password; the credentials belong in "
            "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY"
        )
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueError(f"{variable}: not an HTTP address; it should look like {example}")
    address = _address(host)
    if not address and not _NAME.fullmatch(host):
        raise ValueError(f"{variable}: not a valid host name; it should look like {example}")
    is_loopback = address.is_loopback if address else host == "localhost"
    if parts.scheme == "http" and not is_loopback:
        raise ValueError(f"{variable}: http:// would send data unencrypted; use https://")
    if parts.path.strip("/") not in {"", bucket} or parts.query or parts.fragment:
        raise ValueError(
            f"{variable}: the path after the host is not the bucket in R2_BUCKET; "
            f"it should look like {example}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

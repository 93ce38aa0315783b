"""The endpoint, taken apart before anybody connects: what it can mean, what would be unsafe."""

import ipaddress
import re
from urllib.parse import urlsplit

from asyncsync.errors import ConfigError

_NAME = re.compile(r"(?:(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.|$))+")  # botocore takes no other


def endpoint(url: str, bucket: str) -> str:
    """Return scheme, host and port; what the dashboard shows has the bucket's name behind them.

    Raises:
        ConfigError: it is no plain address, or would send data in the open. It is not shown, since
            anything may have been pasted there.
    """
    variable = "R2_ENDPOINT_URL"
    example = "https://<account>.r2.cloudflarestorage.com, with the account's ID for <account>"
    if "://" not in url:
        raise ConfigError(f"{variable}: has no scheme; it should look like {example}")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # not named as the cause: it shows a password where a port should be
        raise ConfigError(f"{variable}: not a URL; it should look like {example}") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"{variable}: holds a user name or password; the credentials go into "
            "R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY"
        )
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ConfigError(f"{variable}: not an HTTP address; it should look like {example}")
    address = _address(host)
    if not address and not _NAME.fullmatch(host):
        raise ConfigError(f"{variable}: no host has such a name; it should look like {example}")
    is_loopback = address.is_loopback if address else host == "localhost"
    if parts.scheme == "http" and not is_loopback:
        raise ConfigError(f"{variable}: http:// would send data in the open; use https://")
    if parts.path.strip("/") not in {"", bucket} or parts.query or parts.fragment:
        raise ConfigError(
            f"{variable}: has a path behind the host that is not the bucket in R2_BUCKET; "
            f"it should look like {example}"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

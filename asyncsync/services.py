"""What is known of S3 services by the host of their endpoint, and how a bucket is addressed there.

R2 and AWS have rules for the names of buckets; AWS has a host for each region, and one for each
bucket below it. Of all others nothing is known, so that what a path can hold is a bucket's name.
"""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from asyncsync.model import Addressing, Settings

R2_HOST = re.compile(r"(?P<account>[^.]+)(?:\.(?:eu|fedramp))?\.r2\.cloudflarestorage\.com")
_R2_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_AWS_HOST = re.compile(
    r"(?P<form>s3(?:-fips|-accelerate)?(?:\.dualstack)?)"
    r"(?:[.-](?P<region>[a-z]{2,5}(?:-[a-z]+)+-\d+))?"
    r"\.(?P<domain>amazonaws\.(?:com|com\.cn|eu))"
)
"""AWS's hosts for S3. Others of its names are those of its customers' machines."""
_AWS_DOMAINS = {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}
"""Of regions whose names begin so, where it is another than that of all others."""
_AWS_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]+)+-\d+")
_AWS_BUCKET = re.compile(r"[A-Za-z0-9._-]{3,255}")
"""Also the names that us-east-1 allowed until 2018."""
_IN_CERTIFICATE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""A bucket whose name is one label of a host: a certificate's `*` stands for no more."""
_IN_HOST = re.compile(rf"{_IN_CERTIFICATE.pattern}(?:\.{_IN_CERTIFICATE.pattern})*")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the requests for a bucket go."""

    origin: str
    """Scheme, host and port."""
    path: str
    """Of the bucket, percent-encoded as it is sent and signed; empty if the host names it."""


def address_of(settings: Settings) -> Address:
    """Return where the requests for the bucket go."""
    parts = urlsplit(settings.endpoint_url)
    host, bucket = parts.hostname or "", settings.bucket
    in_host = settings.addressing is Addressing.VIRTUAL
    if settings.addressing is Addressing.AUTO:
        in_host = is_aws(host) and _IN_CERTIFICATE.fullmatch(bucket) is not None
    if in_host:
        return Address(f"{parts.scheme}://{bucket}.{parts.netloc}", parts.path)
    return Address(f"{parts.scheme}://{parts.netloc}", f"{parts.path}/{quote(bucket, safe='')}")


def is_aws(host: str) -> bool:
    """Return whether this is the host of an endpoint of AWS's S3."""
    return _AWS_HOST.fullmatch(host) is not None


def buckets_of(host: str) -> str:
    """Return one name for all hosts that lead to the same buckets, as AWS's of a domain do."""
    found = _AWS_HOST.fullmatch(host)
    return host if found is None else found["domain"]


def has_own_paths(host: str) -> bool:
    """Return whether an endpoint at this host can have a path: R2's and AWS's have none."""
    return not is_aws(host) and R2_HOST.fullmatch(host) is None


def region_of(endpoint_url: str) -> str:
    """Return the region that an endpoint's host names; empty for none."""
    found = _AWS_HOST.fullmatch(urlsplit(endpoint_url).hostname or "")
    return "" if found is None else found["region"] or "us-east-1"


def region_in(host: str) -> str:
    """Return the region that a host of AWS's names, which may be that of a bucket."""
    found = re.search(rf"(?:^|\.){_AWS_HOST.pattern}$", host)
    return "" if found is None else found["region"] or "us-east-1"


def aws_endpoint(region: str) -> str:
    """Return AWS's endpoint of S3 in one of its regions."""
    domain = _AWS_DOMAINS.get(region.partition("-")[0], "amazonaws.com")
    return f"https://s3.{region}.{domain}"


def endpoint_in(region: str, endpoint_url: str) -> str:
    """Return the endpoint of AWS in a region that is of the same form as another; empty for none.

    It is made of the name of that other one: nobody can have it lead out of AWS.
    """
    parts = urlsplit(endpoint_url)
    found = _AWS_HOST.fullmatch(parts.hostname or "")
    if found is None or not _AWS_REGION.fullmatch(region):
        return ""
    if "accelerate" in found["form"]:  # it serves the buckets of all regions
        return endpoint_url
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{found['form']}.{region}.{found['domain']}{port}{parts.path}"


def bucket_problem(host: str, bucket: str) -> str:
    """Return why the service at a host has no bucket of this name; empty if it may have."""
    if R2_HOST.fullmatch(host):
        is_one = _R2_BUCKET.fullmatch(bucket) is not None
        return "" if is_one else "R2 allows 3 to 63 lower-case letters, digits, '-'"
    if is_aws(host):
        is_one = _AWS_BUCKET.fullmatch(bucket) is not None
        return "" if is_one else "AWS allows 3 to 63 lower-case letters, digits, '-', '.'"
    if not bucket.isprintable() or "/" in bucket or bucket in {".", ".."}:
        return "no path can hold it: it has a slash, an unprintable character, or dots alone"
    return ""


def virtual_problem(host: str, bucket: str) -> str:
    """Return why no host can have the bucket's name in front of this one; empty if one can."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        is_one = _IN_HOST.fullmatch(bucket) is not None
        return "" if is_one else "the bucket's name cannot be part of a host's name"
    return "the endpoint is an IP address, and no bucket's name can be in front of one"

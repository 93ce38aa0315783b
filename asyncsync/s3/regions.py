"""Puts a wrong region right, by what an answer says of the bucket's.

The rule: no request, and so no credential, goes to a host that an answer names. Of the answer
only the name of the region is taken. Where the endpoint is AWS's, requests then go to AWS's host
for that region, whose name is made from the endpoint's own; anywhere else the host stays, and only
the region changes that requests are signed for.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from asyncsync.model import Settings
from asyncsync.s3.pages import parse_error_fields
from asyncsync.services import endpoint_in, is_aws, region_in

_STATUSES = {301, 307, 400}
_REGION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def settings_there(
    settings: Settings, status: int, headers: Mapping[str, str], body: bytes
) -> Settings | None:
    """Return the settings that lead to the region that an answer names.

    None if it names none, or that of the settings, or if only another host would do.
    """
    region = _told(headers, body)
    if status not in _STATUSES or not _REGION.fullmatch(region):
        return None
    endpoint_url = settings.endpoint_url
    if is_aws(urlsplit(endpoint_url).hostname or ""):
        endpoint_url = endpoint_in(region, endpoint_url)
    elif "location" in headers:
        return None
    there = replace(settings, region=region, endpoint_url=endpoint_url)
    return there if endpoint_url and there != settings else None


def told_of(settings: Settings, there: Settings) -> str:
    """Return what to say when requests go to another region from now on."""
    right = []
    if there.region != settings.region:
        right.append(f"R2_REGION={there.region}")
    if there.endpoint_url != settings.endpoint_url:
        right.append(f"R2_ENDPOINT_URL={there.endpoint_url}")
    return (
        f"the bucket is in the region {there.region}, not where it was looked for "
        f"({settings.region} at {settings.endpoint_url}); requests go there from now on; "
        f"set {' and '.join(right)}"
    )


def _told(headers: Mapping[str, str], body: bytes) -> str:
    if told := headers.get("x-amz-bucket-region", ""):
        return told
    fields = parse_error_fields(body)
    return fields.get("Region", "").strip() or region_in(fields.get("Endpoint", "").strip())

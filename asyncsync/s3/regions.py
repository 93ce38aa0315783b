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
from asyncsync.s3.meanings import assignment
from asyncsync.s3.pages import parse_error
from asyncsync.services import endpoint_in, is_aws, region_in

_REDIRECTS = {301, 307}
_WRONG_SCOPE = "AuthorizationHeaderMalformed"
"""The code of a 400 for a signature that names another region than the server's."""
_REGION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def region_told(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Return the region in which the bucket is, if a refusal says so; empty if it does not."""
    fields = parse_error(body)
    if status not in _REDIRECTS and fields.get("Code", "") != _WRONG_SCOPE:
        return ""
    told = headers.get("x-amz-bucket-region", "") or fields.get("Region", "").strip()
    told = told or region_in(fields.get("Endpoint", "").strip())
    return told if _REGION.fullmatch(told) else ""


def settings_in(region: str, settings: Settings, *, redirects: bool) -> Settings | None:
    """Return the settings that lead to a region; None if these do, or only another host would.

    Args:
        region: where the bucket is; empty if nothing says so.
        settings: where it was looked for.
        redirects: whether the server there would have another host asked.
    """
    endpoint_url = settings.endpoint_url
    if is_aws(urlsplit(endpoint_url).hostname or ""):
        endpoint_url = endpoint_in(region, endpoint_url)
    elif redirects:
        return None
    if not region:
        return None
    there = replace(settings, region=region, endpoint_url=endpoint_url)
    return there if endpoint_url and there != settings else None


def told_of(settings: Settings, there: Settings) -> str:
    """Return what to say when requests go to another region from now on."""
    right = []
    if there.region != settings.region:
        right.append(assignment(settings.names.region, there.region))
    if there.endpoint_url != settings.endpoint_url:
        right.append(assignment(settings.names.endpoint_url, there.endpoint_url))
    return (
        f"the bucket is in the region {there.region}, not where it was looked for "
        f"({settings.region} at {settings.endpoint_url}); requests go there from now on; "
        f"set {' and '.join(right)}"
    )

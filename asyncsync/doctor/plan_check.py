"""The doctor's check of what a sync would do: it makes the plan, for a few seconds at most."""

import anyio

from asyncsync import api, pipeline
from asyncsync.compare import OtherDisks
from asyncsync.disk import Folder, free_bytes
from asyncsync.doctor.bucket_checks import Visit
from asyncsync.errors import DiskFullError
from asyncsync.interfaces import Observers
from asyncsync.keys import escaped
from asyncsync.report import Look, PlanCounts, ok, warning
from asyncsync.units import format_size

PLAN_SECONDS = 5.0
"""How long a plan may take. A person waits for it; what is found by then is a part of it."""


async def plan(visit: Visit) -> Look:
    """Find out how much a sync would download, which is wrong if it cannot fit on the disk."""
    options, dest = visit.options, Folder(visit.options.dest).path
    counts, others = PlanCounts(free_bytes=free_bytes(dest)), OtherDisks()
    observer = Observers(counts, others)
    with anyio.move_on_after(PLAN_SECONDS) as limit:
        await api.perform(pipeline.plan, visit.settings, options, visit.prefixes, observer)
    if not counts.fits:
        counts.elsewhere = others.growth(dest)
    least = "at least " if limit.cancelled_caught else ""
    size = format_size(counts.total.bytes_to_download)
    found = f"{least}{counts.total.to_download:,} to download ({size})"
    if not counts.fits:
        needed = format_size(counts.growth - counts.elsewhere)
        free = format_size(counts.free_bytes or 0)
        lacks = f"not enough space: {least}{needed} needed, {free} free"
        if options.space_check:
            raise DiskFullError(f"{escaped(str(dest))}: {lacks}")
        return warning(f"{found}; {lacks}, and --no-space-check begins all the same")
    if not counts.total.to_download and not least:
        found, fits = "nothing to download", ""
    else:
        fits = "" if counts.free_bytes is None else ", which fits"
    if counts.skipped:
        return warning(f"{found}{fits}; {counts.skipped:,} skipped: `asyncsync plan` names them")
    return ok(f"{found}{fits}" + ("; `asyncsync plan` goes through all" if least else ""))

"""The doctor: what a run needs, looked at one by one, and what to do about what is wrong.

Nothing is changed, but for a folder of a temporary name in the destination. What depends on
something that is wrong is not looked at.
"""

import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from asyncsync.doctor import bucket_checks as bucket
from asyncsync.doctor import folder_checks
from asyncsync.doctor.bucket_checks import Visit
from asyncsync.errors import AsyncSyncError, SourceError, TransientError
from asyncsync.keys import shown
from asyncsync.report import Finding, Look, Verdict
from asyncsync.settings import Options
from asyncsync.threads import in_thread

_WIDE = 60
"""Cells from which on there is room for what is found beside its name."""

_BY_WEIGHT = (6, 2, 4, 5, 1, 3)
"""Exit codes: of several, the first is the run's."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at."""

    name: str
    look: Callable[[Visit], Awaitable[Look]]
    needs: str = ""
    """The check without which this one makes no sense."""


def _local(look: Callable[[Options], Look]) -> Callable[[Visit], Awaitable[Look]]:
    """Return a check of the local side, which may wait for a slow disk, as one of the others."""
    return lambda visit: in_thread(look, visit.options)


CHECKS = (
    Check("settings", bucket.variables),
    Check("endpoint", bucket.endpoint, needs="settings"),
    Check("name", bucket.name, needs="endpoint"),
    Check("connection", bucket.connection, needs="name"),
    Check("clock", bucket.clock, needs="connection"),
    Check("listing", bucket.listing, needs="connection"),
    Check("head", bucket.head, needs="listing"),
    Check("read", bucket.read, needs="listing"),
    Check("latency", bucket.latency, needs="head"),
    Check("throughput", bucket.throughput, needs="read"),
    Check("folder", _local(folder_checks.folder), needs="settings"),
    Check("space", _local(folder_checks.space), needs="settings"),
    Check("names", _local(folder_checks.names), needs="folder"),
    Check("lock", _local(folder_checks.locking), needs="folder"),
    Check("open files", _local(folder_checks.open_files), needs="settings"),
)


async def examine(
    env_file: Path | None,
    given: Mapping[str, object],
    prefixes: Sequence[str],
    tell: Callable[[Finding], object],
) -> int:
    """Do all checks, tell each finding at once, and return the exit code of a sync.

    Args:
        env_file: as `settings.load` takes it.
        given: likewise.
        prefixes: the parts of the bucket that are listed; all of it without one.
        tell: called with each finding.
    """
    found: dict[str, Finding] = {}
    async with AsyncExitStack() as stack:
        visit = Visit(env_file, given, prefixes, stack)
        for check in CHECKS:
            found[check.name] = await _made(check, visit, found.get(check.needs))
            tell(found[check.name])
    codes = {finding.exit_code for finding in found.values()}
    return next((code for code in _BY_WEIGHT if code in codes), 0)


async def _made(check: Check, visit: Visit, needed: Finding | None) -> Finding:
    if needed and needed.verdict in {Verdict.WRONG, Verdict.SKIPPED}:
        return Finding(check.name, Verdict.SKIPPED, f"needs {needed.check}")
    try:
        return Finding(check.name, *await check.look(visit))
    except AsyncSyncError as error:
        # What may pass is tried again in a run, which then ends because of the remote side.
        kind = SourceError if isinstance(error, TransientError) else type(error)
        return Finding(check.name, Verdict.WRONG, error.advice, kind.exit_code)


def format_finding(finding: Finding, width: int = 0) -> str:
    """Return a line for people; one longer than `width`, unless that is 0, goes on below itself."""
    head = f"{finding.verdict:<7}  {finding.check:<10}  "
    line = head + shown(finding.text)
    if not width:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * (len(head) if width >= _WIDE else 2),
        break_long_words=False,
        break_on_hyphens=False,
    )

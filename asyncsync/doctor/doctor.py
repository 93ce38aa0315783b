"""The doctor: checks one by one what a run needs, and says how to fix what is wrong.

It changes nothing, except that it makes and removes a temporary folder in the destination. A check
is skipped when one that it depends on has failed.
"""

import textwrap
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from asyncsync.doctor import bucket_checks as bucket
from asyncsync.doctor import folder_checks, plan_check
from asyncsync.doctor.bucket_checks import Visit
from asyncsync.errors import WORST_FIRST, AsyncSyncError, SourceError, TransientError
from asyncsync.keys import escaped
from asyncsync.report import Finding, Look, Verdict
from asyncsync.settings import Options
from asyncsync.threads import in_thread

_WIDE = 60
"""Columns from which on the text of a finding is wrapped beside its name, and not below it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the doctor."""

    name: str
    look: Callable[[Visit], Awaitable[Look]]
    needs: str = ""
    """The name of the check that this one depends on."""


def _as_coroutine(look: Callable[[Options], Look]) -> Callable[[Visit], Awaitable[Look]]:
    """Return a coroutine function for a check of the local side, which may wait for a slow disk."""
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
    Check("folder", _as_coroutine(folder_checks.folder), needs="settings"),
    Check("space", _as_coroutine(folder_checks.space), needs="settings"),
    Check("plan", plan_check.plan, needs="listing"),
    Check("names", _as_coroutine(folder_checks.names), needs="folder"),
    Check("lock", _as_coroutine(folder_checks.locking), needs="folder"),
    Check("open files", _as_coroutine(folder_checks.open_files), needs="settings"),
)


async def examine(
    env_file: Path | None,
    given: Mapping[str, object],
    prefixes: Sequence[str],
    report: Callable[[Finding], object],
) -> int:
    """Run all checks, and return the exit code that a sync would end with.

    Args:
        env_file: as for `settings.load`.
        given: as for `settings.load`.
        prefixes: the prefixes to list; without one, the whole bucket.
        report: called with each finding as soon as its check has ended.
    """
    findings: dict[str, Finding] = {}
    async with AsyncExitStack() as stack:
        visit = Visit(env_file, given, prefixes, stack)
        for check in CHECKS:
            findings[check.name] = await _run(check, visit, findings.get(check.needs))
            report(findings[check.name])
    codes = {finding.exit_code for finding in findings.values()}
    return next((code for code in WORST_FIRST if code in codes), 0)


async def _run(check: Check, visit: Visit, needed: Finding | None) -> Finding:
    if needed and needed.verdict in {Verdict.WRONG, Verdict.SKIPPED}:
        return Finding(check.name, Verdict.SKIPPED, f"needs {needed.check}")
    try:
        return Finding(check.name, *await check.look(visit))
    except AsyncSyncError as error:
        # A run retries transient errors, and in the end fails because of the remote side.
        kind = SourceError if isinstance(error, TransientError) else type(error)
        return Finding(check.name, Verdict.WRONG, error.advice, kind.exit_code)


def verdict_line(findings: Sequence[Finding]) -> str:
    """Return the last line for people: that all is in order, or what to look at first."""
    wrong = [finding.check for finding in findings if finding.verdict is Verdict.WRONG]
    if wrong:
        return f"{len(wrong)} {'thing' if len(wrong) == 1 else 'things'} to fix, first: {wrong[0]}"
    warned = [finding.check for finding in findings if finding.verdict is Verdict.WARNING]
    if warned:
        return f"in order, with {len(warned)} warning{'s' * (len(warned) > 1)}: {', '.join(warned)}"
    return "all in order"


def format_finding(finding: Finding, width: int = 0) -> str:
    """Return a finding as a line for people, wrapped at `width` columns unless that is 0."""
    head = f"{finding.verdict:<7}  {finding.check:<10}  "
    line = head + escaped(finding.text)
    if not width:
        return line
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * (len(head) if width >= _WIDE else 2),
        break_long_words=False,
        break_on_hyphens=False,
    )

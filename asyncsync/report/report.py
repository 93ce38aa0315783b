"""Outcomes become counts, failures, text and an exit code."""

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

from asyncsync.errors import SkippedError
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import display_width, shown
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Proof, UpToDate
from asyncsync.units import format_size

MOST_FAILURES = 1000
"""Failures kept with their reasons; all of them are counted."""


@dataclass(slots=True)
class Tally:
    """What was found below one top-level prefix. Counts are objects, sizes bytes."""

    local: int = 0
    """Files that counted when the run began, those that are not in the bucket included."""
    in_bucket: int = 0
    missing: int = 0
    """Objects without a file."""
    to_download: int = 0
    """The missing ones, and those whose file is out of date."""
    bytes_to_download: int = 0


@dataclass
class Report(SilentObserver):
    """The figures of one run, made while it runs; their size does not depend on the keys' number.

    Sizes are bytes, times seconds.
    """

    tallies: dict[str, Tally] = field(default_factory=dict, repr=False)
    """By top-level prefix; the objects in the root stand under the empty one."""
    up_to_date: int = 0
    downloaded: int = 0
    downloaded_bytes: int = 0
    kept_bytes: int = 0
    """Of these, what an earlier, unfinished run had brought."""
    verified: int = 0
    """Files that a verification found in step."""
    extra_files: int = 0
    """Files that a verification found to count and not to be in the bucket."""
    extra_keys: list[str] = field(default_factory=list)
    """The keys of the first thousand of them."""
    proofs: Counter[Proof] = field(default_factory=Counter)
    """How many of the downloaded, or of the verified, have been proven how."""
    retried: int = 0
    """Downloaded ones that needed more than one attempt."""
    growth: int = 0
    """Bytes by which the files grow: what is to be downloaded less what it replaces."""
    failed: int = 0
    skipped: int = 0
    """Keys that nothing could be done about: unsafe, colliding, gone since they were listed."""
    failures: list[Failed] = field(default_factory=list, repr=False)
    """The first thousand of the failed and the skipped, with their reasons."""
    unmatched_prefixes: list[str] = field(default_factory=list)
    """Prefixes that were asked for and under which nothing counts; the empty one for all keys."""
    seconds: float = 0.0

    @property
    def total(self) -> Tally:
        """The sum over all prefixes."""
        columns = zip(*(asdict(tally).values() for tally in self.tallies.values()), strict=True)
        return Tally(*map(sum, columns))

    @property
    def proven(self) -> dict[str, int]:
        """How many files each single thing was proven of, by its name."""
        counts = dict.fromkeys((~Proof(0)).names, 0)
        for proof, number in self.proofs.items():
            for name in proof.names:
                counts[name] += number
        return counts

    @property
    def without_hash(self) -> int:
        """Files of whose content no hash is known."""
        return sum(number for proof, number in self.proofs.items() if not proof & Proof.CONTENT)

    @property
    def exit_code(self) -> int:
        """0 if everything is in step, 1 if objects failed, 3 if keys were skipped at most."""
        if self.failed:
            return 1
        return SkippedError.exit_code if self.skipped else 0

    def counted(self, files: Mapping[str, int]) -> None:
        """Take in what is on the disk."""
        for prefix, count in files.items():
            self._tally(prefix).local = count

    def compared(self, page: Compared) -> None:
        """Take in a page of the listing."""
        for known in page.up_to_date:
            self._tally(known.remote.prefix).in_bucket += 1
        for transfer in page.transfers:
            tally = self._tally(transfer.remote.prefix)
            tally.in_bucket += 1
            tally.missing += transfer.reason is transfer.reason.MISSING
            tally.to_download += 1
            tally.bytes_to_download += transfer.remote.size
            self.growth += transfer.remote.size - transfer.replaces
        for refused in page.refused:
            self._tally(refused.remote.prefix).in_bucket += 1
            self._fail(refused)
        self.up_to_date += len(page.up_to_date)

    def unmatched(self, prefix: str) -> None:
        """Take in a prefix under which nothing counts."""
        self.unmatched_prefixes.append(prefix)

    def ended(self, outcome: Outcome) -> None:
        """Take in the end of a transfer or of a check."""
        match outcome:
            case Downloaded(transfer, attempts, _, kept, proven):
                self.downloaded += 1
                self.proofs[proven] += 1
                self.downloaded_bytes += transfer.remote.size
                self.kept_bytes += kept
                self.retried += attempts > 1
            case Failed():
                self._fail(outcome)
            case UpToDate(_, proven):
                self.verified += 1
                self.proofs[proven] += 1

    def unlisted(self, key: str) -> None:
        """Take in a file that is not in the bucket."""
        self.extra_files += 1
        if len(self.extra_keys) < MOST_FAILURES:
            self.extra_keys.append(key)

    def summary(self) -> str:
        """Return one line about the run."""
        return sync_summary(self)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = [(shown(f.remote.key), shown(str(f.error))) for f in self.failures]
        return as_html(self, ("failed or skipped", "why"), rows, self.failed + self.skipped)

    def _fail(self, failed: Failed) -> None:
        if isinstance(failed.error, SkippedError):
            self.skipped += 1
        else:
            self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(failed)

    def _tally(self, prefix: str) -> Tally:
        return self.tallies.setdefault(prefix, Tally())


# text -------------------------------------------------------------------------------------------


def table(report: Report, most_rows: int | None = None, width: int = 0) -> Iterator[str]:
    """Yield the sync check: a line for each prefix, and one for all of them.

    Where there are more prefixes than `most_rows`, those with most to download are shown. Where a
    line would have more cells than `width`, unless that is 0, it does without some columns.
    """
    rows = list(_rows(report, most_rows))
    for spare in ("local", "missing", "in bucket"):
        if (
            width
            and sum(max(map(display_width, column)) + 2 for column in zip(*rows, strict=True))
            > width
        ):
            at = rows[0].index(spare)
            rows = [(*row[:at], *row[at + 1 :]) for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        figures = [figure.rjust(width) for figure, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first + " " * (widths[0] - display_width(first)), *figures])


def _rows(report: Report, most_rows: int | None) -> Iterator[tuple[str, ...]]:
    """Yield the cells of the sync check, from its head to its total."""
    chosen = sorted(report.tallies.items())
    left_out = 0
    if most_rows is not None and len(chosen) > most_rows:
        chosen.sort(key=lambda item: -item[1].bytes_to_download)
        left_out = len(chosen) - most_rows
        chosen = sorted(chosen[:most_rows])
    yield "prefix", "local", "in bucket", "missing", "to download", "bytes"
    for prefix, tally in chosen:
        yield _row(shown(prefix) or "(root)", tally)
    if left_out:
        yield f"({left_out:,} more prefixes)", "", "", "", "", ""
    yield _row("total", report.total)


def _row(name: str, tally: Tally) -> tuple[str, str, str, str, str, str]:
    return (
        name,
        f"{tally.local:,}",
        f"{tally.in_bucket:,}",
        f"{tally.missing:,}",
        f"{tally.to_download:,}",
        format_size(tally.bytes_to_download),
    )


def failure(failed: Failed) -> str:
    """Return one line about a failed or skipped object."""
    word = "skipped" if isinstance(failed.error, SkippedError) else "failed"
    return f"{word}: {shown(failed.remote.key)}: {shown(str(failed.error))}"


def sync_summary(report: Report) -> str:
    """Return one line about a sync."""
    arrived = report.downloaded_bytes - report.kept_bytes
    rate = arrived / report.seconds if report.seconds else 0.0
    size = f" ({format_size(report.downloaded_bytes)} at {format_size(rate)}/s)"
    parts = [
        f"{report.downloaded:,} downloaded{size if report.downloaded else ''}",
        f"{report.up_to_date:,} up to date",
        f"{report.failed:,} failed",
    ]
    if report.skipped:
        parts.append(f"{report.skipped:,} skipped")
    if report.retried:
        parts.append(f"{report.retried:,} after a retry")
    if report.without_hash:
        parts.append(f"{report.without_hash:,} without a content hash")
    if report.kept_bytes:
        parts.append(f"{format_size(report.kept_bytes)} kept from an earlier run")
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"


def plan_summary(report: Report, free_bytes: int) -> str:
    """Return one line about a plan."""
    needed = report.total.bytes_to_download
    fits = "fits" if report.growth <= free_bytes else "DOES NOT FIT"
    parts = [
        f"{report.total.to_download:,} to download ({format_size(needed)})",
        f"{report.up_to_date:,} up to date",
    ]
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if report.skipped:
        parts.append(f"{report.skipped:,} skipped")
    return f"{', '.join(parts)}; {fits}: {format_size(free_bytes)} free"


def verify_summary(report: Report) -> str:
    """Return one line about a verification."""
    parts = [
        f"{report.verified:,} verified",
        f"{report.failed:,} not in step",
        f"{report.skipped:,} skipped",
    ]
    if report.extra_files:
        parts.append(f"{report.extra_files:,} not in the bucket")
    hashed = report.verified - report.without_hash
    if hashed:
        parts.append(f"content proven of {hashed:,}")
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"


# HTML -------------------------------------------------------------------------------------------

MOST_SHOWN = 50
"""Rows of a table in a notebook."""


def as_html(report: Report, head: Sequence[str], rows: Iterable[Sequence[str]], many: int) -> str:
    """Return the summary, the sync check, and a table to unfold; for dark and for light themes.

    Args:
        report: the run.
        head: the heads of the columns of the table to unfold.
        rows: its rows, of which the first are taken; keys in them have gone through `shown`.
        many: how many rows there are.
    """
    check = list(_rows(report, MOST_SHOWN))
    parts = [f"<p>{html.escape(report.summary())}</p>", _html_table(check, numbers=True)]
    if many:
        some = list(islice(rows, MOST_SHOWN))
        more = f"<p>and {many - len(some):,} more</p>" if many > len(some) else ""
        title = html.escape(f"{many:,} {head[0]}")
        listed = _html_table([head, *some], numbers=False)
        parts.append(f"<details><summary>{title}</summary>{listed}{more}</details>")
    return f"<div>{''.join(parts)}</div>"


def _html_table(rows: Sequence[Sequence[str]], *, numbers: bool) -> str:
    """Return a table; all its columns but the first are numbers, or none is."""
    lines = []
    for place, row in enumerate(rows):
        name = "th" if place == 0 else "td"
        told = []
        for column, cell in enumerate(row):
            side = "right" if numbers and column else "left"
            style = f"text-align:{side};white-space:pre-wrap;overflow-wrap:anywhere"
            told.append(f'<{name} style="{style}">{html.escape(cell)}</{name}>')
        lines.append(f"<tr>{''.join(told)}</tr>")
    return f"<table>{''.join(lines)}</table>"

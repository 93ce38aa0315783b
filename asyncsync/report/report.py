"""Counts the outcomes of a run, and makes text and an exit code of the counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncsync.errors import AbsentError, ArchivedError, SkippedError
from asyncsync.interfaces import SilentObserver
from asyncsync.keys import count_folders, escaped, shown
from asyncsync.model import Compared, Downloaded, Failed, Outcome, Proof, Reason, Transfer, UpToDate
from asyncsync.notices import Hint
from asyncsync.report.files import NewFiles
from asyncsync.report.tally import Tally, by_prefix, check_rows, growth_of, total_of
from asyncsync.units import format_count, format_size

if TYPE_CHECKING:
    import pyarrow

MOST_FAILURES = 1000
"""Failures that a report keeps with their reasons. It counts all of them."""
HELD_BACK = 7
"""The exit code of a run in which all went well, but which left something to do, as it was told."""


@dataclass(repr=False)
class Report(SilentObserver):
    """The counts of one run, updated while it runs. Sizes are bytes, times are seconds.

    Its own size in memory does not depend on the number of keys.
    """

    tallies: dict[str, Tally] = field(default_factory=dict, repr=False)
    """The counts by top-level prefix. Objects without one are under the empty prefix."""
    up_to_date: int = 0
    """Objects whose file was up to date already."""
    downloaded: int = 0
    """Objects that were downloaded, validated and published."""
    downloaded_bytes: int = 0
    """Their size."""
    kept_bytes: int = 0
    """The bytes among them that an earlier run had downloaded already."""
    replaced: int = 0
    """Those of the downloaded objects that have replaced a file."""
    edited: int = 0
    """Those of the replaced files that were edited here, or made by other means."""
    verified: int = 0
    """Files that a verification found up to date."""
    extra_files: int = 0
    """Selected files that a verification did not find in the bucket, or that no deletion took."""
    extra_keys: list[str] = field(default_factory=list)
    """The keys of the first thousand of these files."""
    proofs: Counter[Proof] = field(default_factory=Counter)
    """The number of files that were downloaded, verified or taken, by what was proven of them."""
    retried: int = 0
    """Downloaded objects that needed more than one attempt."""
    growth: int = 0
    """Bytes that the disk needs: those to download, less what is replaced and what is kept."""
    failed: int = 0
    """Objects that failed."""
    skipped: int = 0
    """Keys that cannot be synced: unsafe, colliding, archived, or deleted since the listing."""
    archived: int = 0
    """Those among them that are in an archive, and must be restored first."""
    failures: list[Failed] = field(default_factory=list, repr=False)
    """The first thousand failed and skipped objects, with their errors."""
    unmatched_prefixes: list[str] = field(default_factory=list)
    """Requested prefixes without any selected object; an empty one stands for the whole bucket."""
    absent_prefixes: list[str] = field(default_factory=list)
    """Those of them with which no key in the bucket begins at all."""
    left: list[str] = field(default_factory=list)
    """What the run left to do, because an option asked for that."""
    is_listed: bool = False
    """Whether the listing has reached its end, and the totals with it."""
    unfinished: dict[str, int] = field(default_factory=dict, repr=False)
    """The bytes that are kept of each object that is not complete, by key."""
    hint: str = field(default="", repr=False)
    """Why nothing was selected, if the bucket has objects, and what to do."""
    deleted: int = 0
    """Files that were deleted, as their objects are gone; in a plan, those that would be."""
    deleted_bytes: int = 0
    """Their size."""
    files: NewFiles = field(default_factory=NewFiles, repr=False, compare=False)
    """The files that are new: path, key, size, reason and proof of each. `sync` fills it."""
    seconds: float = 0.0
    """How long the run took."""

    @property
    def new(self) -> int:
        """Downloaded objects that had no file."""
        return self.downloaded - self.replaced

    @property
    def total(self) -> Tally:
        """The sum of all prefixes."""
        return total_of(self.tallies)

    @property
    def proven(self) -> dict[str, int]:
        """How many files have each proof: size, version, md5, md5-of-parts, parquet."""
        counts = dict.fromkeys((~Proof(0)).names, 0)
        for proof, number in self.proofs.items():
            for name in proof.names:
                counts[name] += number
        return counts

    @property
    def left_out(self) -> int:
        """Objects that globs, sizes and times leave out, of those that were listed."""
        return self.total.left_out

    @property
    def content_proven(self) -> int:
        """Downloaded or verified files whose content a hash has proven."""
        return sum(number for proof, number in self.proofs.items() if proof & Proof.CONTENT)

    @property
    def without_hash(self) -> int:
        """Files whose content no hash has proven."""
        return self.proofs.total() - self.content_proven

    @property
    def exit_code(self) -> int:
        """1 if objects failed; otherwise 3 if keys were skipped or a prefix is absent.

        Otherwise 7, if the run was told to leave something to do and did so; or 0.
        """
        if self.failed:
            return 1
        if self.skipped or self.absent_prefixes:
            return SkippedError.exit_code
        return HELD_BACK if self.left else 0

    def counted(self, files: Mapping[str, int]) -> None:
        """Count the existing files."""
        for prefix, count in files.items():
            self._tally(prefix).local = count

    def compared(self, page: Compared) -> None:
        """Count the objects of a page; one that it decides about is counted in the bucket."""
        is_new = not page.decides
        here = [known.remote.key for known in page.up_to_date]
        for prefix, count in count_folders(here).items():
            self._tally(prefix).in_bucket += count * is_new
        for transfer in page.unproven:
            self._tally(transfer.remote.prefix).in_bucket += 1
        for prefix, transfers in by_prefix(page.transfers).items():
            tally = self._tally(prefix)
            tally.in_bucket += len(transfers) * is_new
            tally.count(transfers)
        self.growth += growth_of(page.transfers)
        self.unfinished.update({t.remote.key: t.kept for t in page.transfers if t.kept})
        for refused in page.refused:
            is_there = not isinstance(refused.error, AbsentError)
            self._tally(refused.remote.prefix).in_bucket += is_new and is_there
            self._fail(refused)
        if page.decides:
            self.proofs.update(known.proven for known in page.up_to_date)
        self.up_to_date += len(page.up_to_date)

    def filtered(self, objects: Mapping[str, int]) -> None:
        """Count the objects that globs, sizes and times leave out."""
        for prefix, count in objects.items():
            self._tally(prefix).left_out = count

    def absent(self, prefix: str) -> None:
        """Record a prefix with which no key begins."""
        self.absent_prefixes.append(prefix)

    def unmatched(self, prefix: str) -> None:
        """Record a prefix without any selected object."""
        self.unmatched_prefixes.append(prefix)

    def listed(self) -> None:
        """Note that the totals are final."""
        self.is_listed = True

    def started(self, transfer: Transfer) -> None:
        """Begin to count the bytes of a transfer, if they are kept when the run is stopped."""
        if transfer.remote.is_pinned:
            self.unfinished[transfer.remote.key] = 0

    def advanced(self, transfer: Transfer, size: int) -> None:
        """Count bytes, or subtract discarded ones."""
        if transfer.remote.key in self.unfinished:
            self.unfinished[transfer.remote.key] += size

    def noticed(self, message: str) -> None:
        """Keep why nothing was selected."""
        if isinstance(message, Hint):
            self.hint = str(message)

    def ended(self, outcome: Outcome) -> None:
        """Count the outcome of a transfer, or of the check of a file."""
        match outcome:
            case Downloaded(transfer, attempts, _, kept, proven):
                self.downloaded += 1
                self.unfinished.pop(transfer.remote.key, None)
                if transfer.reason is not Reason.MISSING:
                    self.replaced += 1
                    self.edited += transfer.is_edited
                self.proofs[proven] += 1
                self.downloaded_bytes += transfer.remote.size
                self.kept_bytes += kept
                self.retried += attempts > 1
            case Failed(remote):
                self.unfinished.pop(remote.key, None)
                self._fail(outcome)
            case UpToDate(_, proven):
                self.verified += 1
                self.proofs[proven] += 1

    def unlisted(self, key: str) -> None:
        """Count a file that is not in the bucket."""
        self.extra_files += 1
        if len(self.extra_keys) < MOST_FAILURES:
            self.extra_keys.append(key)

    def removed(self, key: str, size: int) -> None:  # noqa: ARG002 - an observer's
        """Count a file that was deleted."""
        self.deleted += 1
        self.deleted_bytes += size

    def held_back(self, why: str) -> None:
        """Record what the run leaves to do."""
        self.left.append(why)

    def summary(self) -> str:
        """Return one line about the run."""
        return sync_summary(self)

    def __str__(self) -> str:
        """Return the summary, and which prefixes nothing was found at."""
        return "; ".join([self.summary(), *map(_unmatched, self.unmatched_prefixes)])

    def __repr__(self) -> str:
        """Return what an interactive Python shows: the summary, and not each field."""
        return f"<{type(self).__name__}: {self}>"

    def to_arrow(self) -> "pyarrow.Table":
        """Return the new files as an Arrow table, with the columns that `files` has as fields.

        Raises:
            ConfigError: pyarrow is not installed.
        """
        from asyncsync.report.arrow import table  # slow to import, and may be missing

        return table(self.files)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        rows = ((shown(f.remote.key), escaped(f.error.advice)) for f in self.failures)
        return self._to_html(("failed or skipped", "why"), rows, self.failed + self.skipped)

    def _to_html(self, header: Sequence[str], rows: Iterable[Sequence[str]], count: int) -> str:
        from asyncsync.report.html import MOST_SHOWN, format_html  # only notebooks wait for it

        check = check_rows(self.tallies, MOST_SHOWN)
        return format_html(self.summary(), check, header, rows, count)

    def _fail(self, failed: Failed) -> None:
        if isinstance(failed.error, SkippedError):
            self.skipped += 1
            self.archived += isinstance(failed.error, ArchivedError)
        else:
            self.failed += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(failed)

    def _tally(self, prefix: str) -> Tally:
        if (tally := self.tallies.get(prefix)) is None:
            tally = self.tallies[prefix] = Tally()
        return tally


def _unmatched(prefix: str) -> str:
    return f"no object selected at {shown(prefix)}" if prefix else "no object selected"


# text -------------------------------------------------------------------------------------------


def sync_summary(report: Report) -> str:
    """Return the summary of a sync, one line."""
    arrived = report.downloaded_bytes - report.kept_bytes
    rate = arrived / report.seconds if report.seconds else 0.0
    kinds = _kinds(report.new, report.replaced, report.edited)
    # What has arrived of objects that are not complete would be missing in the rate.
    speed = "" if report.unfinished else f" at {format_size(rate)}/s"
    size = f" ({kinds}{format_size(report.downloaded_bytes)}{speed})"
    parts = [
        f"{report.downloaded:,} downloaded{size if report.downloaded else ''}",
        f"{report.up_to_date:,} up to date",
        f"{report.failed:,} failed",
    ]
    if report.skipped:
        parts.append(_skipped(report))
    parts += _deletions(report, "deleted")
    parts += _left_out(report)
    if report.retried:
        parts.append(f"{report.retried:,} after a retry")
    if report.without_hash:
        parts.append(f"{report.without_hash:,} without a content hash")
    if report.kept_bytes:
        parts.append(f"{format_size(report.kept_bytes)} kept from an earlier run")
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"


def stop_summary(report: Report) -> str:
    """Return what a sync that was stopped has kept and deleted, one line, and what to do."""
    told = []
    if report.total.to_download:
        kept = report.downloaded_bytes + sum(report.unfinished.values())
        of = f" of {format_size(report.total.bytes_to_download)}" if report.is_listed else ""
        told.append(f"{format_size(kept)}{of} kept")
    if report.deleted:
        told.append(f"{format_count(report.deleted, 'file')} deleted")
    return f"stopped{': ' if told else ''}{', '.join(told)}; run again to go on"


def _kinds(new: int, replaced: int, edited: int) -> str:
    """Return how many files are new and replaced, where any are; it ends with a semicolon."""
    if not replaced:
        return ""
    of_these = f", {edited:,} of them edited here" if edited else ""
    return f"{f'{new:,} new, ' if new else ''}{replaced:,} replaced{of_these}; "


def _skipped(report: Report) -> str:
    archived = f" ({report.archived:,} archived)" if report.archived else ""
    return f"{report.skipped:,} skipped{archived}"


def _deletions(report: Report, word: str) -> list[str]:
    """Return what a summary says about the files whose objects are gone."""
    parts = []
    if report.deleted:
        parts.append(f"{report.deleted:,} {word} ({format_size(report.deleted_bytes)})")
    if report.extra_files:
        parts.append(f"{report.extra_files:,} kept (not made by asyncsync, or changed here)")
    return parts


def plan_summary(report: Report, free_bytes: int | None, elsewhere: int = 0) -> str:
    """Return the summary of a plan, one line; the free bytes are None where the disk is silent."""
    total = report.total
    if free_bytes is None:
        space = "the disk does not tell its free space"
    else:
        fits = "fits" if report.growth - elsewhere <= free_bytes else "DOES NOT FIT"
        space = f"{fits}: {format_size(free_bytes)} free"
    kinds = _kinds(total.missing, total.changed, total.edited)
    kept = f", {format_size(total.bytes_kept)} of it kept already" if total.bytes_kept else ""
    parts = [
        f"{total.to_download:,} to download ({kinds}{format_size(total.bytes_to_download)}{kept})",
        f"{report.up_to_date:,} up to date",
    ]
    if report.failed:
        parts.append(f"{report.failed:,} failed")
    if report.skipped:
        parts.append(_skipped(report))
    parts += _deletions(report, "to delete")
    parts += _left_out(report)
    return f"{', '.join(parts)}; {space}"


def verify_summary(report: Report, *, deep: bool = False) -> str:
    """Return the summary of a verification, one line; a deep one tells of contents in any case."""
    parts = [
        f"{report.verified:,} verified",
        *([f"{report.downloaded:,} fetched again"] if report.downloaded else []),
        f"{report.failed:,} not in sync",
        _skipped(report),
    ]
    if report.extra_files:
        parts.append(f"{report.extra_files:,} not in the bucket")
    parts += _left_out(report)
    if report.content_proven or deep:
        parts.append(f"content proven of {report.content_proven:,}")
    return f"{', '.join(parts)}, in {report.seconds:.1f} s"


def _left_out(report: Report) -> list[str]:
    """Return what a summary says about the objects that are left out."""
    number = report.left_out
    if number and not report.total.in_bucket:
        why = f" ({escaped(report.hint)})" if report.hint else ""
        return [f"all {number:,} objects left out{why}"]
    return [f"{number:,} left out"] if number else []

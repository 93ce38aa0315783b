"""The sync check: what is here and in the bucket, by top-level prefix, and a table of that."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from asyncsync.keys import count_folders, display_width, shown
from asyncsync.model import Reason, Transfer
from asyncsync.units import format_size

_HEADER = (
    *("prefix", "local", "in bucket", "missing", "changed", "to download"),
    *("bytes", "kept", "left out"),
)
_FIRST_TO_GO = ("local", "missing", "changed", "kept", "in bucket", "left out")
"""Columns that a narrow table does without, in this order."""


@dataclass(slots=True)
class Tally:
    """The counts of one top-level prefix."""

    local: int = 0
    """Selected files when the run began, including those that are not in the bucket."""
    in_bucket: int = 0
    """Selected objects."""
    missing: int = 0
    """Objects without a file."""
    changed: int = 0
    """Objects whose file is out of date."""
    edited: int = 0
    """Those among them whose file was edited here, or made by other means."""
    to_download: int = 0
    """Objects that are missing or whose file is out of date."""
    bytes_to_download: int = 0
    """The size of the objects to download."""
    bytes_kept: int = 0
    """Those of these bytes that an earlier run has left in unfinished files."""
    left_out: int = 0
    """Objects that globs, sizes and times leave out, or that a filter took out of a plan."""

    def count(self, transfers: Sequence[Transfer], by: int = 1) -> None:
        """Count transfers; or, with -1, count them no more."""
        missing = [each.reason for each in transfers].count(Reason.MISSING)
        self.missing += by * missing
        self.changed += by * (len(transfers) - missing)
        self.edited += by * sum([each.is_edited for each in transfers])
        self.to_download += by * len(transfers)
        self.bytes_to_download += by * sum([each.remote.size for each in transfers])
        self.bytes_kept += by * sum([each.kept for each in transfers])


def by_prefix(transfers: Sequence[Transfer]) -> Mapping[str, Sequence[Transfer]]:
    """Return the transfers by the top-level prefix of their keys; most pages have but one."""
    prefixes = count_folders([each.remote.key for each in transfers])
    if len(prefixes) == 1:
        return dict.fromkeys(prefixes, transfers)
    found: dict[str, list[Transfer]] = {prefix: [] for prefix in prefixes}
    for each in transfers:
        found[each.remote.prefix].append(each)
    return found


def growth_of(transfers: Iterable[Transfer]) -> int:
    """Return how many more bytes the disk holds after these transfers."""
    return sum([each.remote.size - each.replaces - each.kept for each in transfers])


def total_of(tallies: Mapping[str, Tally]) -> Tally:
    """Return the sum of all prefixes."""
    columns = zip(*(asdict(tally).values() for tally in tallies.values()), strict=True)
    return Tally(*map(sum, columns))


def table(
    tallies: Mapping[str, Tally], most_rows: int | None = None, width: int = 0
) -> Iterator[str]:
    """Yield the lines of the sync check: a header, each prefix, and the total.

    Args:
        tallies: the counts by top-level prefix.
        most_rows: show only so many prefixes, those with most bytes to download; None for all.
        width: leave out columns while a line is wider than so many terminal cells; 0 for never.
    """
    rows = check_rows(tallies, most_rows)
    for column in _FIRST_TO_GO:
        if width and column in rows[0] and sum(cells + 2 for cells in _widths(rows)) > width:
            rows = _without(rows, column)
    widths = _widths(rows)
    for first, *rest in rows:
        figures = [figure.rjust(width) for figure, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first + " " * (widths[0] - display_width(first)), *figures])


def check_rows(tallies: Mapping[str, Tally], most_rows: int | None) -> list[tuple[str, ...]]:
    """Return the cells of the sync check, from its header to its total.

    There is a column for what is kept, and for what is left out, only where there is any.
    """
    chosen = sorted(tallies.items())
    unshown = 0
    if most_rows is not None and len(chosen) > most_rows:
        chosen.sort(key=lambda item: -item[1].bytes_to_download)
        unshown = len(chosen) - most_rows
        chosen = sorted(chosen[:most_rows])
    total = total_of(tallies)
    rows: list[tuple[str, ...]] = [_HEADER]
    rows += [_row(shown(prefix) or "(root)", tally) for prefix, tally in chosen]
    if unshown:
        rows.append((f"({unshown:,} more prefixes)", *[""] * (len(_HEADER) - 1)))
    rows.append(_row("total", total))
    if not total.bytes_kept:
        rows = _without(rows, "kept")
    return rows if total.left_out else _without(rows, "left out")


def _row(name: str, tally: Tally) -> tuple[str, ...]:
    return (
        name,
        f"{tally.local:,}",
        f"{tally.in_bucket:,}",
        f"{tally.missing:,}",
        f"{tally.changed:,}",
        f"{tally.to_download:,}",
        format_size(tally.bytes_to_download),
        format_size(tally.bytes_kept),
        f"{tally.left_out:,}",
    )


def _without(rows: Sequence[tuple[str, ...]], column: str) -> list[tuple[str, ...]]:
    at = rows[0].index(column)
    return [(*row[:at], *row[at + 1 :]) for row in rows]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(display_width, column)) for column in zip(*rows, strict=True)]

"""The counts behind bars and lines."""

import pytest

from asyncsync.model import UpToDate
from asyncsync.progress.progress import Progress
from tests.rigs.outcomes import MB, downloaded, failed, page, remote, transfer


def figures(progress: Progress) -> tuple[int, int, int, int]:
    """Return ended objects, objects, bytes that arrived, bytes."""
    return progress.ended_objects, progress.objects, progress.arrived, progress.size


class Counting(Progress):
    """Progress that is not shown."""

    def draw(self) -> None:
        """Draw nothing."""


@pytest.fixture
def counting() -> Counting:
    """Progress of a run that found a small and a large object."""
    counting = Counting()
    counting.compared(page(transfer("small", 1000), transfer("large"), up_to_date=3))
    return counting


def test_bytes_count_as_they_arrive_and_only_once(counting: Counting) -> None:
    """Those of a large object count block by block, those of a small one at its end."""
    counting.started(transfer("large"))
    for _ in range(10):
        counting.advanced(transfer("large"), MB)
    assert figures(counting) == (0, 2, 10 * MB, 10 * MB + 1000)
    counting.ended(downloaded(transfer("large")))
    assert figures(counting) == (1, 2, 10 * MB, 10 * MB + 1000)
    counting.ended(downloaded(transfer("small", 1000)))
    assert figures(counting) == (2, 2, 10 * MB + 1000, 10 * MB + 1000)
    assert counting.in_flight == {}


def test_discarded_bytes_are_subtracted(counting: Counting) -> None:
    """A transfer that starts again counts its bytes only once in the end."""
    large = transfer("large")
    counting.started(large)
    counting.advanced(large, 4 * MB)
    counting.advanced(large, -4 * MB)
    assert counting.arrived == 0
    counting.started(large)
    counting.advanced(large, 10 * MB)
    counting.ended(downloaded(large))
    assert counting.arrived == 10 * MB


def test_bytes_that_were_kept_are_here_but_not_fetched(counting: Counting) -> None:
    """Those that are discarded were fetched all the same."""
    large = transfer("large")
    counting.started(large)
    counting.kept(large, 4 * MB)
    counting.advanced(large, 6 * MB)
    counting.advanced(large, -10 * MB)
    counting.advanced(large, 10 * MB)
    assert (counting.arrived, counting.fetched) == (10 * MB, 16 * MB)
    counting.ended(downloaded(large))
    counting.ended(downloaded(transfer("small", 1000)))
    assert (counting.arrived, counting.fetched) == (10 * MB + 1000, 16 * MB + 1000)


@pytest.mark.parametrize("rewound", [True, False], ids=["while arriving", "when all had arrived"])
def test_failed_object_is_no_longer_expected(counting: Counting, *, rewound: bool) -> None:
    """Its size counts as lost, and the bytes that arrived no longer count."""
    large = transfer("large")
    counting.started(large)
    counting.advanced(large, 10 * MB)
    if rewound:
        counting.advanced(large, -10 * MB)
    counting.ended(failed("large"))
    counting.ended(downloaded(transfer("small", 1000)))
    assert figures(counting) == (2, 2, 1000, 10 * MB + 1000)
    assert counting.lost == 10 * MB


def test_verified_files_count_as_objects() -> None:
    """A verification downloads nothing, and never has more ended objects than objects."""
    counting = Counting()
    counting.compared(page(up_to_date=2))
    for key in ("a", "b"):
        counting.ended(UpToDate(remote(key)))
    assert figures(counting) == (2, 2, 0, 0)

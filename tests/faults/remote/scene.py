"""The objects of these tests, and what a run has done with them."""

import os

import pytest

from asyncsync.disk import PART
from asyncsync.errors import AsyncSyncError
from tests.rigs.fault_run import Run

KEY = "1hz/a.parquet"
"""The object that meets the faults."""
OTHER = "1hz/b.parquet"
"""The object that must arrive all the same."""
SMALL = os.urandom(5000)
"""Downloaded with one request, in memory."""
WHOLE = os.urandom(700_001)
"""Downloaded with one request, into an unfinished file."""
PARTS = os.urandom(PART + 400_001)
"""Downloaded in two parts."""
BOTH = {KEY: SMALL, OTHER: SMALL}
FIRST = {1}
"""For `Rule.nth`: the first request only."""
SECOND_PART = f"bytes={PART}-*"
KINDS = pytest.mark.parametrize("data", [SMALL, WHOLE, PARTS], ids=["small", "large", "parts"])


def assert_done(run: Run, data: bytes) -> None:
    """Assert exit code 0, and that both files are there, `KEY` with this content."""
    assert run.tree == {KEY: data, OTHER: SMALL}
    assert run.ended_by == (None, 0)


def assert_only_key_failed(run: Run, kind: type[AsyncSyncError], code: int = 1) -> None:
    """Assert that `KEY` failed with this error, and that `OTHER` was downloaded."""
    assert run.failures == {KEY: kind}
    assert run.ended_by == (None, code)
    assert run.tree == {OTHER: SMALL}


def assert_source_error(run: Run, kind: type[AsyncSyncError], *texts: str) -> None:
    """Assert that this error ended the run with exit code 4, and that its message has the texts."""
    assert run.ended_by == (kind, 4)
    for text in texts:
        assert text in run.message

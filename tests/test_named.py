"""Named sources in the Python API."""

from pathlib import Path

import pytest

import asyncsync
from asyncsync import ConfigError
from tests.rigs.called import OBJECTS
from tests.rigs.memory_store import MemoryStore, use_memory
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _sources(monkeypatch: pytest.MonkeyPatch) -> None:
    use_memory(monkeypatch, MemoryStore(OBJECTS))
    Path("asyncsync.toml").write_text('[hz]\nprefixes = "1hz/"\ndest = "hz"\ndurable = true\n')


async def test_call_takes_a_named_source() -> None:
    """It says what comes where; so does it for a plan and a verification."""
    assert (await asyncsync.sync(named="hz")).downloaded == 2
    assert sorted(tree(Path("hz"))) == ["1hz/a.parquet", "1hz/b.parquet"]
    assert (await asyncsync.plan(named="hz")).up_to_date == 2
    assert (await asyncsync.verify(named="hz")).verified == 2


async def test_argument_wins_over_the_named_source() -> None:
    """One that is None counts as none."""
    plan = await asyncsync.plan("root", named="hz", include=None)
    assert [transfer.remote.key for transfer in plan] == ["root.parquet"]
    assert (await asyncsync.sync(plan=plan, dest="other", named="hz")).downloaded == 1
    assert sorted(tree(Path("other"))) == ["root.parquet"]


async def test_name_that_is_not_there_is_an_error_of_the_settings() -> None:
    """With the nearest one; all of them are more than a call can report on."""
    with pytest.raises(ConfigError, match=r"no source \[hzz\] in .*; did you mean hz\?"):
        await asyncsync.sync(named="hzz")
    with pytest.raises(ConfigError, match="call for each"):
        await asyncsync.sync(named="all")
    with pytest.raises(ConfigError, match=r"^\[hz\] of asyncsync.toml: --bucket: not the name of"):
        await asyncsync.sync(named="hz", bucket="a/b")

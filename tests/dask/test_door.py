"""The door: what it imports, what it says without Dask, and what `help` knows of it."""

import inspect
import subprocess
import sys

import pytest

import asyncsync.dask
from asyncsync.errors import ConfigError


def test_import_brings_no_dask() -> None:
    """Neither of the package nor of this door."""
    script = "import sys, asyncsync.dask; print({'dask', 'distributed'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


@pytest.mark.anyio
async def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"distributed is not installed.*extra dask"):
        await asyncsync.dask.sync(None)  # type: ignore[arg-type]  # there is no client


def test_arguments_are_known() -> None:
    """They are those of `asyncsync.sync`, behind the client."""
    first, *others = inspect.signature(asyncsync.dask.sync).parameters
    assert (first, others) == ("client", [*inspect.signature(asyncsync.sync).parameters])
    assert "limit_rate: " in (asyncsync.dask.sync.__doc__ or "")

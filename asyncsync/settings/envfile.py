"""Reads the env file: `./.env`, or the one that is named.

It decides where credentials are sent and which files are replaced, so one that another user could
have written or put there is refused before anything is read from it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.others import PlantedError, can_read, can_write, open_file
from asyncsync.secret import Secret

CREATE_HINT = "create it with a line NAME=value for each setting, as in .env.example"
_MOST = 1 << 20
"""Bytes of an env file."""
_OTHER = "; name another file with --env-file"
_HINT = "; name a file of your own, in a folder of your own, with --env-file"


@dataclass(frozen=True, slots=True)
class EnvFile:
    """What an env file sets."""

    path: Path
    exists: bool = False
    values: Mapping[str, Secret] = field(default_factory=dict)
    """By the names of variables."""
    exposure: str = ""
    """Who else can read it, and how to fix that; empty for nobody."""


def read_env_file(named: Path | None) -> EnvFile:
    """Return what the named env file sets, or `./.env`, which may be missing.

    Raises:
        ConfigError: there is no such file, or it cannot be read, or other users can change it.
    """
    path = Path(".env") if named is None else named
    exists, is_folder = os.path.exists(path), os.path.isdir(path)
    if named is None and (not exists or is_folder):
        return EnvFile(path)  # some people name a virtual environment `.env`
    if is_folder:
        raise ConfigError(f"{path}: is a folder, not an env file; name a file with --env-file")
    if not exists:
        raise ConfigError(f"{path}: no such file; {CREATE_HINT}")
    if not os.path.isfile(path):
        raise ConfigError(f"{path}: is a pipe or a device; use a file, which can be read again")
    try:
        values, is_exposed = _read(path)
    except PlantedError as error:
        raise ConfigError(f"{path}: {error}{_HINT}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{_OTHER}") from error
    if values is None:
        raise ConfigError(f"{path}: is no text in UTF-8 of at most 1 MiB{_OTHER}")
    exposure = f"{path}: other users can read the secret in it; run chmod 600 {path}"
    return EnvFile(
        path,
        exists=True,
        values=values,
        exposure=exposure if is_exposed else "",
    )


def _read(path: Path) -> tuple[dict[str, Secret] | None, bool]:
    """Return what the file sets, None if it is no text, and whether others can read it.

    Raises:
        PlantedError: others can change it; nothing was read.
        OSError: it cannot be read.
    """
    file = open_file(str(path), os.O_RDONLY, folders=True)
    with os.fdopen(file, "rb") as opened:
        if can_write(file):
            raise PlantedError(f"other users can write it (chmod 600 {path})")
        return _parse(opened.read(_MOST + 1)), can_read(file)


def _parse(data: bytes) -> dict[str, Secret] | None:
    """Return what the text sets; None if it is none. An exception would hold all of it."""
    try:
        text = data.decode("utf-8-sig") if len(data) <= _MOST else None
    except UnicodeDecodeError:
        return None
    if text is None:
        return None
    from dotenv import dotenv_values  # not needed where there is no file, as in many cron jobs

    values = dotenv_values(stream=StringIO(text, newline=None), interpolate=False)
    return {name: Secret(value) for name, value in values.items() if value is not None}

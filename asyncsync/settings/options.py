"""How to sync: the options, and the words that stand for their values."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import index
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.keys import STATE_DIR, shown
from asyncsync.model import Checks

MAX_REQUESTS = 1024
LEAST_RATE = 1024
"""Bytes a second; anything slower would not be told from a stall."""


_RATE = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)([kKmMgG]?)")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Validate(StrEnum):
    """How an arrived object is validated before its file is published."""

    CONTENT = "content"
    """As HEAD, and the bytes must have the hash that the ETag holds, where it holds one."""
    HEAD = "head"
    """A HEAD request beside the GET must report the same size and version."""
    RESPONSE = "response"
    """The GET's own headers must; one request less for each object."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to sync."""

    dest: Path = Path("downloads")
    """The local folder; made if it is missing."""
    include: tuple[str, ...] = ("*.parquet",)
    """Globs over whole keys; `*` matches `/` as well. A key must match one of them."""
    exclude: tuple[str, ...] = ()
    """Globs over whole keys; a key that matches one of them is left out."""
    workers: int | None = None
    """Requests for objects in flight; None finds the best number while running."""
    max_workers: int = 256
    """The most that None may find."""
    validate: Validate = Validate.CONTENT
    parquet_check: bool = True
    """Whether what is called `*.parquet` must have the beginning and the end of such a file."""
    deep: bool = False
    """Whether `verify` reads the files and proves their content."""
    attempts: int = 8
    """How often one request is tried before its object counts as failed."""
    space_check: bool = True
    """End the run, before it begins to fetch, when what it finds does not fit on the disk."""
    durable: bool = False
    """A file counts only when it would survive a power cut."""
    limit_rate: int | None = None
    """Bytes of objects a second at most; None takes as many as come."""
    since: str | None = None
    """`auto` lists from the last keys on, None in full."""
    strict: bool = False
    """An env file that others can read is an error, and not only a warning."""

    def __post_init__(self) -> None:
        """Take what callers of the API may give as well: a str for a path, `20M`, a list."""
        try:
            _check_folder(str(self.dest))
        except ValueError as error:
            raise ConfigError(f"dest: {error}") from None
        if self.validate not in set(Validate):
            raise ConfigError(f"validate: {self.validate!r} is not {' or '.join(Validate)}")
        object.__setattr__(self, "dest", Path(self.dest))
        object.__setattr__(self, "validate", Validate(self.validate))
        if not self.include:
            raise ConfigError("include: without a glob no key counts; '*' stands for all")
        for name in ("include", "exclude"):
            try:
                object.__setattr__(self, name, globs(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from None
        for name in _WORDS:
            object.__setattr__(self, name, _meant(name, getattr(self, name)))

    @property
    def checks(self) -> Checks:
        """What has to hold before a file is published."""
        return Checks(
            head=self.validate is not Validate.RESPONSE,
            content=self.validate is Validate.CONTENT,
            parquet=self.parquet_check,
        )


def globs(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the globs; a str is one of them, and not a sequence of single characters.

    Raises:
        ValueError: one is blank, as where a variable is not set; no key would ever match it.
    """
    found = (given,) if isinstance(given, str) else tuple(given)
    if not all(glob.strip() for glob in found):
        raise ValueError("a blank glob matches no key; '*' stands for all")
    return found


_NUMBERS = ("workers", "max_workers", "attempts", "limit_rate")
_WORDS = (*_NUMBERS, "since", "parquet_check", "deep", "space_check", "durable", "strict")
"""Options that have other values than text, and for which the command line has words."""


def _meant(name: str, value: object) -> object:
    """Return the value of an option that may have been given in the command line's words."""
    try:
        if isinstance(value, str):
            return parse_option(name, value)
        if name in _NUMBERS and value is not None:
            if isinstance(value, float) and value.is_integer():  # such as 20e6
                value = int(value)
            return _in_range(name, index(value))  # type: ignore[arg-type]  # or it raises
    except TypeError:
        raise ConfigError(f"{name}: {value!r} is not a whole number") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    return value


def _in_range(name: str, number: int) -> int:
    if name in {"workers", "max_workers"} and not 1 <= number <= MAX_REQUESTS:
        raise ValueError(f"{number} is not between 1 and {MAX_REQUESTS}")
    if name == "attempts" and number < 1:
        raise ValueError(f"{number} is less than 1")
    if name == "limit_rate" and number < LEAST_RATE:
        raise ValueError(f"{number} is less than {LEAST_RATE} bytes/s")
    return number


def _yes_or_no(text: str) -> bool:
    if text.lower() not in _YES_OR_NO:
        raise ValueError(f"{text!r} is neither yes nor no")
    return _YES_OR_NO[text.lower()]


def parse_option(name: str, text: str) -> object:
    """Return the value of the `Options` field `name` that the text stands for.

    Globs are parted by white space; `auto` workers are None, and so is what is `off`.

    Raises:
        ValueError: the text is no such value; the message says what would be.
    """
    match name:
        case "dest":
            return _folder(text)
        case "include" | "exclude":
            return tuple(text.split())
        case "validate" if text not in set(Validate):
            raise ValueError(f"{text!r} is not {' or '.join(Validate)}")
        case "validate":
            return Validate(text)
        case "workers" if text == "auto":
            return None
        case "since":
            return _since(text)
        case "limit_rate":
            return _rate(text)
        case "parquet_check" | "deep" | "space_check" | "durable" | "strict":
            return _yes_or_no(text)
        case _:
            return _in_range(name, _whole(name, text))


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        auto = " or auto" if name == "workers" else ""
        raise ValueError(f"{text!r} is not a whole number{auto}") from None


def _rate(text: str) -> int | None:
    """Return bytes a second; the units are powers of 1024, as those of curl, wget and rclone."""
    if text == "off":
        return None
    if not (match := _RATE.fullmatch(text)):
        raise ValueError(f"{text!r} is neither off nor a rate such as 500k, 20M or 1.5G")
    number, unit = match.groups()
    return _in_range("limit_rate", int(float(number) * _UNITS[unit.lower()]))


def _folder(text: str) -> Path:
    try:
        folder = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("no such user's home folder") from None
    _check_folder(text and str(folder))
    return folder


def _check_folder(name: str) -> None:
    if not name.strip():
        raise ValueError("an empty name is not a folder")
    try:
        there = Path(os.path.realpath(name))
    except FileNotFoundError:
        raise ValueError("the current folder is gone; go to one, or name a whole path") from None
    if there == Path(there.anchor):
        raise ValueError("the root of a file system is no folder to sync into")
    if STATE_DIR in there.parts:
        raise ValueError(f"{shown(name)} is in the state of a destination, which is its own affair")
    if os.path.exists(name) and not os.path.isdir(name):
        raise ValueError(f"{shown(name)} is a file, and not a folder")


def _since(text: str) -> str | None:
    if text not in {"auto", "off"}:
        raise ValueError(f"{text!r} is neither auto nor off")
    return None if text == "off" else text

"""How to sync: the options, and how their values are written as text."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import index
from pathlib import Path

from asyncsync.errors import ConfigError
from asyncsync.keys import STATE_DIR, escaped
from asyncsync.limits import Limits
from asyncsync.model import Addressing, Checks, Compare
from asyncsync.paths import OddKeys
from asyncsync.settings.amounts import as_moment, parse_bytes, parse_moment
from asyncsync.settings.durations import parse_duration
from asyncsync.settings.renamed import SINCE_WORDS
from asyncsync.shards import Shard
from asyncsync.times import nanoseconds_of
from asyncsync.units import parse_size

MAX_REQUESTS = 1024
MAX_READ_TIMEOUT = 120
MAX_PROCESSES = 64
MIN_RATE = 1024
"""Bytes a second; a slower download would look like a stalled one."""

_MAX_DELETE = re.compile(r"\d{1,12}|(100|\d{1,2}(\.\d{1,6})?)%")
_YES_OR_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Validate(StrEnum):
    """How a downloaded object is validated before its file is published."""

    CONTENT = "content"
    """As HEAD; the bytes must also match the hash in the ETag, if it holds one."""
    HEAD = "head"
    """A HEAD request beside the GET must report the listed size and version."""
    RESPONSE = "response"
    """The headers of the GET must report them; that saves a request for each object."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to sync."""

    dest: Path = Path("downloads")
    """The local folder; created if it is missing."""
    include: tuple[str, ...] = ("*.parquet",)
    """Globs for whole keys; `*` matches `/` as well. A key must match one of them."""
    exclude: tuple[str, ...] = ()
    """Globs for whole keys; a key that matches one of them is left out."""
    workers: int | None = None
    """Requests for objects at once; None finds the best number during the run."""
    max_workers: int = 256
    """The upper limit when `workers` is None."""
    validate: Validate = Validate.CONTENT
    parquet_check: bool = True
    """Whether a file named `*.parquet` must begin and end like Parquet."""
    deep: bool = False
    """Whether `verify` reads the files and checks their content."""
    repair: bool = False
    """Whether `verify` fetches again what is not in order."""
    attempts: int = 8
    """Attempts for a request before its object fails."""
    read_timeout: int = 30
    """Seconds without a byte after which a request is sent again; a later answer has longer."""
    space_check: bool = True
    """Whether the run ends as soon as what it finds does not fit on the disk."""
    durable: bool = False
    """Whether a file counts as downloaded only when it would survive a power cut."""
    limit_rate: int | None = None
    """Bytes of objects a second at most; None sets no limit."""
    max_duration: int | None = None
    """Seconds after which a run ends, even if something is left; None for as long as it needs."""
    incremental: bool = False
    """Whether only keys after the last known ones are listed."""
    strip_prefix: bool = False
    """Whether paths leave out the prefix that all keys of the run begin with."""
    odd_keys: OddKeys = OddKeys.SKIP
    """What becomes of keys that are no path."""
    delete: bool = False
    """Whether a sync deletes files that it made once, and whose objects are gone."""
    max_delete: str = "10%"
    """How many files that may be: a number, or a share of the selected files."""
    allow_empty: bool = False
    """Whether files may be deleted where the bucket, or a prefix, holds nothing selected."""
    strict: bool = False
    """Whether an env file that others can read is an error, and not only a warning."""
    sign_request: bool = True
    """Whether requests are signed; only public buckets answer others, which need no credentials."""
    request_payer: bool = False
    """Whether requests say that their sender pays for them, as some buckets demand."""
    addressing: Addressing = Addressing.AUTO
    allow_http: bool = False
    """Whether an endpoint on another machine may be one without TLS."""
    compare: Compare = Compare.TIME
    """What shows that a file is up to date."""
    follow_links: bool = False
    """Whether links in the destination stand for the folders that they lead to."""
    backup_dir: Path | None = None
    """The folder that keeps what is replaced; None keeps nothing."""
    newer_than: datetime | None = None
    """Objects that were modified before are left out; as text or an age, it counts from now."""
    older_than: datetime | None = None
    """Objects that were modified later are left out."""
    since: datetime | None = None
    """The same as `newer_than`."""
    min_size: int | None = None
    """Objects of fewer bytes are left out."""
    max_size: int | None = None
    """Objects of more bytes are left out."""
    processes: int | None = None
    """Other processes that download; None for one by processor where a run needs them."""
    shard: Shard | None = None
    """The part of the keys that this run syncs; None for all of them."""

    def __post_init__(self) -> None:
        """Convert what callers of the API may pass as well: a str for a path, `20M`, a list."""
        try:
            _check_folder(str(self.dest))
        except ValueError as error:
            raise ConfigError(f"dest: {error}") from None
        object.__setattr__(self, "dest", Path(self.dest))
        for name, kind in _CHOICES.items():
            if (given := getattr(self, name)) not in set(kind):
                raise ConfigError(f"{name}: {given!r} is not one of {', '.join(kind)}")
            object.__setattr__(self, name, kind(given))
        if not self.include:
            raise ConfigError("include: without a glob no key is selected; use '*' for all keys")
        for name in ("include", "exclude"):
            try:
                object.__setattr__(self, name, globs(getattr(self, name)))
            except ValueError as error:
                raise ConfigError(f"{name}: {error}") from None
        for name in _CONVERTED:
            object.__setattr__(self, name, _convert(name, getattr(self, name)))
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.delete and self.incremental:
            raise ConfigError(
                "delete: --incremental does not list everything, so nothing is known to be gone; "
                "take either --delete or --incremental"
            )
        if self.delete and self.limits:
            raise ConfigError(
                f"delete: does not go with {', '.join(self.limits.options)}, since an object that "
                "is gone has neither size nor age; take one of them"
            )
        if self.request_payer and not self.sign_request:
            raise ConfigError(
                "request_payer: nobody can be charged for requests that are not signed; take "
                "either --request-payer or --no-sign-request"
            )
        if problem := self.limits.problem:
            raise ConfigError(problem)

    @property
    def limits(self) -> Limits:
        """Which of the selected objects are left out by their size and time."""
        oldest = [nanoseconds_of(moment) for moment in (self.newer_than, self.since) if moment]
        newest = nanoseconds_of(self.older_than) if self.older_than else None
        return Limits(self.min_size, self.max_size, max(oldest, default=None), newest)

    @property
    def checks(self) -> Checks:
        """The checks that a file must pass before it is published."""
        return Checks(
            head=self.validate is not Validate.RESPONSE,
            content=self.validate is Validate.CONTENT,
            parquet=self.parquet_check,
        )


def globs(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the globs; a str is one glob, not a sequence of characters.

    Raises:
        ValueError: one is blank, as from an unset shell variable; no key would ever match it.
    """
    found = (given,) if isinstance(given, str) else tuple(given)
    if not all(glob.strip() for glob in found):
        raise ValueError("a blank glob matches no key; use '*' for all keys")
    return found


_CHOICES: dict[str, type[StrEnum]] = {
    "compare": Compare,
    "validate": Validate,
    "addressing": Addressing,
    "odd_keys": OddKeys,
}
_SIZES = ("min_size", "max_size")
_MOMENTS = ("newer_than", "older_than", "since")
_NUMBERS = (
    *("workers", "max_workers", "attempts", "read_timeout", "limit_rate", "max_duration"),
    "processes",
    *_SIZES,
)
_SWITCHES = (
    *("parquet_check", "deep", "repair", "space_check", "durable", "strip_prefix", "strict"),
    *("sign_request", "request_payer", "allow_http", "follow_links", "delete", "allow_empty"),
    "incremental",
)
_CONVERTED = ("backup_dir", *_NUMBERS, *_SWITCHES, *_MOMENTS, "max_delete", "shard")
"""Options whose values are not text, but may be given as text, as on the command line."""


def _convert(name: str, value: object) -> object:
    """Return the value of an option, which may be given as text."""
    try:
        if name in _MOMENTS:
            return as_moment(value)
        if isinstance(value, str | Path):
            return parse_option(name, str(value))
        if name == "max_delete":
            return parse_option(name, str(index(value)))  # type: ignore[arg-type]  # TypeError
        if name in _CHOICES:
            return _parse_choice(name, str(value))
        if name in _NUMBERS and value is not None:
            if isinstance(value, float) and value.is_integer():  # such as 20e6
                value = int(value)
            return _check_range(name, index(value))  # type: ignore[arg-type]  # raises TypeError
    except TypeError:
        if name in _MOMENTS:
            raise ConfigError(f"{name}: {value!r} is no date, time or timedelta") from None
        raise ConfigError(f"{name}: {value!r} is not a whole number") from None
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    return value


def _check_range(name: str, number: int) -> int:
    if name in {"workers", "max_workers"} and not 1 <= number <= MAX_REQUESTS:
        raise ValueError(f"{number} is not between 1 and {MAX_REQUESTS}")
    if name == "processes" and not 0 <= number <= MAX_PROCESSES:
        raise ValueError(f"{number} is not between 0 and {MAX_PROCESSES}")
    if name == "attempts" and number < 1:
        raise ValueError(f"{number} is less than 1")
    if name == "read_timeout" and not 1 <= number <= MAX_READ_TIMEOUT:
        raise ValueError(f"{number} is not between 1 and {MAX_READ_TIMEOUT} seconds")
    if name == "limit_rate" and number < MIN_RATE:
        raise ValueError(f"{number} is less than {MIN_RATE} bytes/s")
    if name == "max_duration" and number < 1:
        raise ValueError(f"{number} is less than a second")
    if name in _SIZES and number < 0:
        raise ValueError(f"{number} is less than 0")
    return number


def _parse_bool(text: str) -> bool:
    if text.lower() not in _YES_OR_NO:
        raise ValueError(f"{text!r} is neither yes nor no")
    return _YES_OR_NO[text.lower()]


def parse_option(name: str, text: str) -> object:
    """Return the value of the `Options` field `name` that is written as `text`.

    White space separates globs. `auto` workers and processes are None, as is `off` for a rate, a
    duration, a size, a moment or a shard.

    Raises:
        ValueError: the text is not a valid value; the message says what is.
    """
    match name:
        case "dest" | "backup_dir":
            return _parse_folder(text)
        case "include" | "exclude":
            return tuple(text.split())
        case "compare" | "validate" | "addressing" | "odd_keys":
            return _parse_choice(name, text)
        case "request_payer" if text == "requester":  # as other tools write it
            return True
        case "workers" | "processes" if text == "auto":
            return None
        case _ if name in (*_SIZES, *_MOMENTS):
            return _parse_amount(name, text)
        case "limit_rate" | "max_delete" | "max_duration" | "shard":
            return _FORMS[name](text)
        case _ if name in _SWITCHES:
            return _parse_bool(text)
        case _:
            return _check_range(name, _parse_int(name, text))


def _parse_choice(name: str, text: str) -> StrEnum:
    choices = _CHOICES[name]
    if text not in set(choices):
        raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
    return choices(text)


def _parse_amount(name: str, text: str) -> object:
    if name in _SIZES:
        return parse_bytes(text)
    return text if name == "since" and text in SINCE_WORDS else parse_moment(text)


def _parse_int(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        is_auto = name in {"workers", "processes"}
        problem = "neither a whole number nor auto" if is_auto else "not a whole number"
        raise ValueError(f"{text!r} is {problem}") from None


def _parse_rate(text: str) -> int | None:
    """Return bytes a second."""
    if text == "off":
        return None
    if (rate := parse_size(text.removesuffix("/s"))) is None:
        raise ValueError(f"{text!r} is neither off nor a rate such as 500k, 20M or 1.5G")
    return _check_range("limit_rate", rate)


def _parse_max_delete(text: str) -> str:
    if not _MAX_DELETE.fullmatch(text):
        raise ValueError(f"{text!r} is neither a number of files nor a share of them such as 10%")
    return text


def _parse_folder(text: str) -> Path:
    try:
        folder = Path(text).expanduser()
    except RuntimeError:
        raise ValueError("the home folder of that user is not known") from None
    _check_folder(text and str(folder))
    return folder


def _check_folder(name: str) -> None:
    if not name.strip():
        raise ValueError("an empty name is not a folder")
    try:
        resolved = Path(os.path.realpath(name))
    except FileNotFoundError:
        raise ValueError(
            "the current folder no longer exists; change to another, or use an absolute path"
        ) from None
    if resolved == Path(resolved.anchor):
        raise ValueError(
            "the root of a file system is not a valid destination; choose a folder in it"
        )
    if STATE_DIR in resolved.parts:
        raise ValueError(f"{escaped(name)} is in the state folder of a destination; choose another")
    if os.path.exists(name) and not os.path.isdir(name):
        raise ValueError(f"{escaped(name)} is a file, not a folder")


def _parse_max_duration(text: str) -> int | None:
    return None if text == "off" else parse_duration(text)


def _parse_shard(text: str) -> Shard | None:
    """Return the shard; None if it is the only one, and so all of the run."""
    shard = None if text == "off" else Shard.parse(text)
    return shard if shard and shard.count > 1 else None


_FORMS: dict[str, Callable[[str], object]] = {
    "limit_rate": _parse_rate,
    "max_delete": _parse_max_delete,
    "max_duration": _parse_max_duration,
    "shard": _parse_shard,
}
"""How the values of options are read that are neither a number, a switch nor a choice."""

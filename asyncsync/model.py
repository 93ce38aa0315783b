"""The values that flow down the road, all of them frozen.

An *object* is remote, a *file* is local, a *part* is a range of an object's bytes, a *transfer* is
one object on its way to a file.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Flag, StrEnum, auto

from asyncsync.errors import TransferError

UNKNOWN_SIZE = -1
LARGEST_SIZE = 1 << 50
"""Bytes; more than any S3 stores as one object."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object as the listing shows it."""

    key: str
    size: int
    """Bytes; `UNKNOWN_SIZE` where the listing shows none that an object can have."""
    etag: str
    """The version's tag without its quotes; empty where the server sends none."""
    modified_ns: int
    """LastModified in nanoseconds since the epoch; 0 where it cannot be read."""

    @property
    def is_pinned(self) -> bool:
        """Whether the tag names one version for certain, so that its parts belong together.

        It can be said in a header, which not all that a listing may hold can be.
        """
        etag = self.etag
        if not (etag.isascii() and etag.isprintable()):
            return False
        return etag != "" and '"' not in etag and not etag.startswith("W/")

    @property
    def prefix(self) -> str:
        """The top-level prefix: `1hz/` for `1hz/2026/a.parquet`, empty for one in the root."""
        top, slash, _ = self.key.partition("/")
        return top + slash if slash else ""


LAST = "\U0010ffff"
"""Sorts behind all keys but those that begin with it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, in the bucket's order of keys."""

    objects: list[RemoteObject]
    prefixes: list[str]
    """What the delimiter rolled up; empty without a delimiter."""
    next_token: str
    """Where the next page starts; empty on the last page."""

    @property
    def complete_to(self) -> str:
        """The key up to which no other page has keys to add; `LAST` on the last page."""
        if not self.next_token:
            return LAST
        return max([remote.key for remote in self.objects[-1:]] + self.prefixes[-1:], default="")


@dataclass(frozen=True, slots=True)
class Head:
    """What HEAD or GET says of an object's current version."""

    size: int
    """Bytes of the whole object."""
    etag: str
    """Without its quotes; empty where the server sends none."""
    encoding: str = ""
    """The stored Content-Encoding; empty for plain bytes."""
    modified: str = ""
    """Last-Modified as the header holds it; empty where the server sends none."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What has to hold before a file is published, besides the size and version of each answer."""

    head: bool = True
    """HEAD says the same as the listing and GET."""
    content: bool = True
    """The bytes have the hash that the ETag holds, where it holds one."""
    parquet: bool = True
    """What is called `*.parquet` has the beginning and the end of such a file."""


class Proof(Flag):
    """What was proven of a file."""

    SIZE = auto()
    VERSION = auto()
    """Every answer named the listed ETag."""
    MD5 = auto()
    """The bytes have the MD5 that is the ETag."""
    MD5_OF_PARTS = auto()
    """The MD5s of the uploaded parts make up the ETag."""
    PARQUET = auto()
    SIZE_AND_VERSION = SIZE | VERSION
    CONTENT = MD5 | MD5_OF_PARTS

    @property
    def names(self) -> list[str]:
        """What was proven, each in a word: `size`, `version`, `md5`, `md5-of-parts`, `parquet`."""
        return [(proof.name or "").lower().replace("_", "-") for proof in self]


class Reason(StrEnum):
    """Why an object is fetched."""

    MISSING = "missing"
    SIZE_DIFFERS = "size-differs"
    NEWER = "newer"
    EDITED = "edited"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Transfer:
    """An object that is to be fetched, the path it goes to, and why."""

    remote: RemoteObject
    path: tuple[str, ...]
    """The components of the local path below the destination."""
    reason: Reason
    replaces: int = 0
    """Bytes of the file that lies at the path and is going to be replaced."""


@dataclass(frozen=True, slots=True)
class UpToDate:
    """An object whose file is already in step."""

    remote: RemoteObject
    proven: Proof = Proof.SIZE


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was validated and published."""

    transfer: Transfer
    attempts: int
    """Requests' attempts of the part that needed most; 1 when nothing was retried."""
    seconds: float
    kept: int = 0
    """Bytes that an earlier, unfinished run had brought."""
    proven: Proof = Proof.SIZE


@dataclass(frozen=True, slots=True)
class Failed:
    """An object that could not be synced, and why."""

    remote: RemoteObject
    error: TransferError


Outcome = UpToDate | Downloaded | Failed


@dataclass(frozen=True, slots=True)
class Compared:
    """A page of the listing after its comparison with the disk."""

    transfers: list[Transfer]
    up_to_date: list[UpToDate]
    refused: list[Failed]
    """Keys that have no path, or whose path is taken."""


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where a run goes."""

    endpoint: str
    bucket: str
    dest: str
    """The destination's absolute path, without symbolic links."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs a request."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the bucket is and how to be let in."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    endpoint_url: str
    """Scheme, host and port, without a path."""
    bucket: str
    session_token: str = field(default="", repr=False)
    region: str = "auto"
    reload: Callable[[], "Settings"] | None = field(default=None, repr=False, compare=False)
    """Reads them again where they came from; may raise ConfigError."""

    @property
    def credentials(self) -> Credentials:
        """What requests are signed with."""
        return Credentials(self.access_key_id, self.secret_access_key, self.session_token)

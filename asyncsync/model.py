"""The values that the stages pass on, and the settings of a run. All of them are frozen.

An *object* is remote, a *file* is local, a *part* is a range of an object's bytes, a *transfer* is
one object on its way to a file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import Flag, StrEnum, auto
from pathlib import Path

from asyncsync.errors import TransferError, TransientError
from asyncsync.paths import PLAIN, OddKeys, Paths
from asyncsync.secret import Secret
from asyncsync.times import to_datetime

UNKNOWN_SIZE = -1
LARGEST_SIZE = 1 << 50
"""Bytes. No S3 server stores larger objects."""

_STRONG = re.compile("(?!W/)[ !#-~]+")
"""A strong ETag without its quotes: printable ASCII."""


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object as the listing shows it."""

    key: str
    size: int
    """Bytes; `UNKNOWN_SIZE` if the listing has no valid size."""
    etag: str
    """Without its quotes; empty if the server sends none."""
    modified_ns: int
    """LastModified in nanoseconds since the epoch; 0 if it cannot be parsed."""
    archive: str = ""
    """The storage class, if nothing can be read from it before the object is restored."""

    @property
    def is_pinned(self) -> bool:
        """Whether the ETag identifies one version, so that parts with it belong together.

        That is a strong ETag, and one that can be sent in a header.
        """
        return _STRONG.fullmatch(self.etag) is not None

    def has_version(self, etag: str) -> bool:
        """Whether an answer with this ETag is about this version.

        A server that encodes or decodes an object on the way makes its ETag a weak one.
        """
        return self.etag in {etag, etag.removeprefix('W/"')}

    @property
    def modified(self) -> datetime | None:
        """LastModified in UTC; None if it cannot be parsed."""
        return to_datetime(self.modified_ns)

    @property
    def prefix(self) -> str:
        """The top-level prefix: `1hz/` for `1hz/2026/a.parquet`, empty for `a.parquet`."""
        return self.key[: self.key.find("/") + 1]


LAST = "\U0010ffff"
"""Sorts after all keys, except those that begin with it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing, in the order of the keys."""

    objects: list[RemoteObject]
    prefixes: list[str]
    """CommonPrefixes: the keys rolled up by the delimiter; empty without a delimiter."""
    next_token: str
    """NextContinuationToken; empty on the last page."""
    is_by_marker: bool = False
    """Whether it answers ListObjects, version 1: the next page is the one behind a marker."""

    @property
    def complete_to(self) -> str:
        """Later pages have only keys after this one. `LAST` on the last page."""
        if not self.next_token:
            return LAST
        return max([remote.key for remote in self.objects[-1:]] + self.prefixes[-1:], default="")


@dataclass(frozen=True, slots=True)
class Checksum:
    """A checksum of all bytes of an object."""

    algorithm: str
    """crc64nvme, crc32, crc32c or sha256."""
    value: bytes
    """Big-endian."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a response to HEAD or GET says about the object's current version."""

    size: int
    """Bytes of the whole object."""
    etag: str
    """Without its quotes; empty if the server sends none."""
    modified: str = ""
    """The header Last-Modified as it is; empty if the server sends none."""
    checksum: Checksum | None = None
    """Of its bytes, if the server tells one of the whole object; of several the cheapest."""
    has_hash: bool = True
    """Whether the ETag may be a hash: not of an object that is encrypted with a key of KMS."""
    varies: bool = False
    """Whether the size may depend on the encodings that the client accepts.

    Looked at only where it is not the listed one.
    """
    waited: float = field(default=0.0, compare=False)
    """Seconds from the request to this answer's head."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole object, and what the answers to GET and HEAD said of it.

    Where both were sent, one may have failed for a reason that may pass: then the error is here.
    """

    content: bytes
    got: Head | TransientError
    """From the answer to GET."""
    asked: Head | TransientError | None = None
    """From the answer to HEAD, if one was sent."""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked before a file is published, besides size and version of each response."""

    head: bool = True
    """HEAD agrees with the listing and with GET."""
    content: bool = True
    """The bytes match the checksum that HEAD tells, or the MD5 in the ETag, if there is one."""
    parquet: bool = True
    """Files named `*.parquet` begin and end like Parquet files."""


class Compare(StrEnum):
    """What shows that a file is up to date."""

    TIME = "time"
    """It has the object's size, and is not older."""
    SIZE = "size"
    """It has the object's size."""
    HASH = "hash"
    """It has the object's size, and its bytes have the hash that the bucket tells."""


class Proof(Flag):
    """What was proven about a file."""

    SIZE = auto()
    VERSION = auto()
    """Every response had the listed ETag."""
    MD5 = auto()
    """The MD5 of the bytes is the ETag."""
    MD5_OF_PARTS = auto()
    """The ETag is that of a multipart upload, made from the MD5s of the uploaded parts."""
    CRC64NVME = auto()
    """The CRC64NVME of the bytes is that which the answer to HEAD says, and so for the next."""
    CRC32 = auto()
    CRC32C = auto()
    SHA256 = auto()
    PARQUET = auto()
    """It begins and ends like a Parquet file."""
    SIZE_AND_VERSION = SIZE | VERSION
    CONTENT = MD5 | MD5_OF_PARTS | CRC64NVME | CRC32 | CRC32C | SHA256

    __hash__ = object.__hash__  # each is one of a kind; that of `Enum` is no C function

    @property
    def names(self) -> list[str]:
        """One name for each: `size`, `version`, `md5`, `md5-of-parts`, `crc64nvme` and so on."""
        return [(proof.name or "").lower().replace("_", "-") for proof in self]


class Reason(StrEnum):
    """Why an object is fetched."""

    MISSING = "missing"
    """There is no file."""
    SIZE_DIFFERS = "size-differs"
    """The file has another size."""
    NEWER = "newer"
    """The object is newer than the file."""
    EDITED = "edited"
    """The file was changed after it was downloaded."""
    UNSURE = "unsure"
    """A power cut or a crash of the machine may have damaged the file."""
    UNPROVEN = "unproven"
    """Only its hash can tell whether the file is the object. If it is, nothing is fetched."""
    HASH_DIFFERS = "hash-differs"
    """The bytes of the file have another hash than the object."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """An object to fetch, its local path, and the reason."""

    remote: RemoteObject
    path: tuple[str, ...]
    """The components of the local path below the destination."""
    reason: Reason
    replaces: int = 0
    """Bytes that become free when the existing file is replaced."""
    is_edited: bool = False
    """Whether that file was edited here, or made by other means, as far as the notes tell."""
    kept: int = 0
    """Bytes of the object that an earlier run has left, as far as the journal tells."""


@dataclass(frozen=True, slots=True)
class UpToDate:
    """An object whose file is up to date."""

    remote: RemoteObject
    proven: Proof = Proof.SIZE
    paths: Paths = field(default=PLAIN, repr=False, compare=False)
    """How keys become files."""

    @property
    def file(self) -> Path:
        """The local file."""
        return self.paths.file(self.paths.of(self.remote.key))

    @property
    def modified(self) -> datetime | None:
        """The object's LastModified in UTC; None if it cannot be parsed."""
        return self.remote.modified


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that was validated and published."""

    transfer: Transfer
    attempts: int
    """Attempts of the request that needed most of them; 1 if none was retried."""
    seconds: float
    """How long the transfer took."""
    kept: int = 0
    """Bytes that an earlier run had downloaded already."""
    proven: Proof = Proof.SIZE
    paths: Paths = field(default=PLAIN, repr=False, compare=False)
    """How keys become files."""

    @property
    def remote(self) -> RemoteObject:
        """The object, in the version that was downloaded."""
        return self.transfer.remote

    @property
    def file(self) -> Path:
        """The local file."""
        return self.paths.file(self.transfer.path)

    @property
    def modified(self) -> datetime | None:
        """The object's LastModified in UTC; None if it cannot be parsed."""
        return self.remote.modified


@dataclass(frozen=True, slots=True)
class Failed:
    """An object that could not be synced, and why."""

    remote: RemoteObject
    error: TransferError

    @property
    def modified(self) -> datetime | None:
        """The object's LastModified in UTC; None if it cannot be parsed."""
        return self.remote.modified


Outcome = UpToDate | Downloaded | Failed


@dataclass(frozen=True, slots=True)
class Compared:
    """A page of the listing after its comparison with the disk."""

    transfers: list[Transfer]
    up_to_date: list[UpToDate]
    refused: list[Failed]
    """Objects whose key has no safe path, or whose path belongs to another key."""
    unproven: list[Transfer] = field(default_factory=list)
    """Transfers that are made only if the hash of the file does not prove it.

    What is found out about each comes as a page of its own, which `decides`.
    """
    decides: bool = False
    """Whether this page is about an object of an earlier page's `unproven`."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a run reads from, and where it writes to."""

    endpoint: str
    bucket: str
    dest: str
    """The destination's absolute path, with symbolic links resolved."""
    stripped: str = ""
    """The prefix that paths leave out."""
    odd_keys: OddKeys = OddKeys.SKIP
    """What becomes of keys that are no path."""
    shard: str = ""
    """The part of the keys that it takes, as `2/8`; empty for all."""

    @property
    def paths(self) -> Paths:
        """How keys become paths."""
        encodes = self.odd_keys is OddKeys.ENCODE
        return Paths(self.stripped, encodes=encodes, root=self.dest)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What requests are signed with."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret


class Addressing(StrEnum):
    """Where the name of the bucket stands in the URL of a request."""

    AUTO = "auto"
    """In front of AWS's hosts, unless it has dots; behind those of all others."""
    PATH = "path"
    """Behind the host: `https://host/bucket/key`."""
    VIRTUAL = "virtual"
    """In front of the host: `https://bucket.host/key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What messages call the settings, by how they were set: so a reader finds what to change."""

    access_key_id: str = "R2_ACCESS_KEY_ID"
    secret_access_key: str = "R2_SECRET_ACCESS_KEY"  # noqa: S105 - its name
    session_token: str = "R2_SESSION_TOKEN"  # noqa: S105 - its name
    endpoint_url: str = "R2_ENDPOINT_URL"
    bucket: str = "R2_BUCKET"
    region: str = "R2_REGION"


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the bucket is, and the credentials for it."""

    access_key_id: str
    """Empty if requests are not signed."""
    secret_access_key: Secret | str = field(repr=False)
    """Kept as a secret, as is the token."""
    endpoint_url: str
    """Scheme, host, port, and the path in front of the bucket, if there is one."""
    bucket: str
    session_token: Secret | str = field(default="", repr=False)
    region: str = "auto"
    addressing: Addressing = Addressing.AUTO
    request_payer: bool = False
    """Whether requests say that their sender pays for them."""
    reload: Callable[[], "Settings"] | None = field(default=None, repr=False, compare=False)
    """Reads the settings again from where they came from; may block, and raise AsyncSyncError."""
    renew: Callable[[], Credentials] | None = field(default=None, repr=False, compare=False)
    """Returns credentials that do not expire soon; may block, and raise AsyncSyncError. None for
    those that do not expire."""
    credentials_place: str = field(default="", compare=False)
    """Where the credentials are from; empty for variables of R2's."""
    names: Names = field(default_factory=Names, repr=False, compare=False)
    """What messages call them."""

    def __post_init__(self) -> None:
        """Hide what is given as text."""
        object.__setattr__(self, "secret_access_key", Secret.of(self.secret_access_key))
        object.__setattr__(self, "session_token", Secret.of(self.session_token))

    @property
    def credentials(self) -> Credentials:
        """What requests are signed with."""
        secret, token = Secret.of(self.secret_access_key), Secret.of(self.session_token)
        return Credentials(self.access_key_id, secret, token)

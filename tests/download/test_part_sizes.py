"""The part size of an upload that no guess finds: the bucket is asked for it, and only then."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from asyncsync.disk import Folder
from asyncsync.download import Verifier
from asyncsync.download.download import Downloader
from asyncsync.errors import AccessDeniedError, AuthError, ServerError
from asyncsync.model import (
    Checks,
    Checksum,
    Head,
    Proof,
    Reason,
    RemoteObject,
    Transfer,
    UpToDate,
)
from asyncsync.paths import Paths
from tests.rigs.etags import etag_of_parts, md5
from tests.rigs.memory_store import Act, MemoryStore
from tests.rigs.watch import Watcher, quick_pace, tree

pytestmark = pytest.mark.anyio

KEY = "1hz/a.bin"
MIB = 1024 * 1024
DATA = os.urandom(MIB) * 11 + b"tail"
ODD = 3_333_333
USUAL = 5 * MIB
VERSION = Proof.SIZE_AND_VERSION


class Rig:
    """A bucket in memory with one object, and a folder."""

    def __init__(self, folder: Folder, dest: Path, etag: str) -> None:
        self.folder, self.dest = folder, dest
        self.store = MemoryStore()
        self.store.put(KEY, DATA, etag=etag)
        self.remote: RemoteObject = self.store.remote(KEY)

    async def download(self, *, head: bool = True, content: bool = True) -> Proof:
        """Download the object; return what is proven."""
        checks = Checks(head=head, content=content, parquet=False)
        downloader = Downloader(self.store, self.folder, quick_pace(), Watcher(), checks)
        with anyio.fail_after(25):
            done = await downloader.download(Transfer(self.remote, Paths().of(KEY), Reason.MISSING))
        assert tree(self.dest) == {KEY: DATA}
        return done.proven

    @property
    def asked(self) -> int:
        """How often the bucket was asked for the size of a part."""
        return self.store.count("part", KEY)


@pytest.fixture
def new_rig(tmp_path: Path) -> Iterator[Callable[[str], Rig]]:
    """Make a bucket whose object has this ETag."""
    dest = tmp_path / "dest"
    folder = Folder(dest)
    with folder.writing():
        yield partial(Rig, folder, dest)


@pytest.mark.row(51)
async def test_part_size_that_the_bucket_tells_proves_the_bytes(
    new_rig: Callable[[str], Rig],
) -> None:
    """It takes one request more."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.first_parts[KEY] = ODD
    assert await rig.download() == VERSION | Proof.MD5_OF_PARTS
    assert rig.asked == 1


@pytest.mark.row(51)
@pytest.mark.parametrize(
    "told",
    [0, 1, ODD - 1, ODD + 1, 3 * MIB, len(DATA), len(DATA) * 2],
    ids=["nothing", "a byte", "less", "more", "a guess", "the whole", "more than all"],
)
async def test_other_part_sizes_prove_nothing_and_refuse_nothing(
    new_rig: Callable[[str], Rig], told: int
) -> None:
    """A server may answer as for the whole object, and parts may be of several sizes."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.first_parts[KEY] = told
    assert await rig.download() == VERSION
    assert rig.asked == 1


@pytest.mark.row(51)
@pytest.mark.parametrize(
    "etag",
    [md5(DATA).hex(), etag_of_parts(DATA, USUAL), etag_of_parts(DATA, len(DATA)), "opaque"],
    ids=["whole", "usual", "one part", "no hash"],
)
async def test_bucket_is_not_asked_where_a_guess_fits_or_none_could(
    new_rig: Callable[[str], Rig], etag: str
) -> None:
    """As few requests as without."""
    rig = new_rig(etag)
    await rig.download()
    assert rig.asked == 0


@pytest.mark.row(51)
@pytest.mark.parametrize(
    "head",
    [
        Head(len(DATA), etag_of_parts(DATA, ODD), has_hash=False),
        Head(len(DATA), etag_of_parts(DATA, ODD), checksum=Checksum("crc32", b"none")),
    ],
    ids=["KMS", "checksum"],
)
async def test_bucket_is_not_asked_where_head_says_that_the_etag_does_not_count(
    new_rig: Callable[[str], Rig], head: Head
) -> None:
    """It is no hash, or there is a cheaper one."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.always("head", KEY, Act(head=head))
    if head.checksum:
        with pytest.raises(Exception, match="CRC32"):
            await rig.download()
    else:
        assert await rig.download() == VERSION
    assert rig.asked == 0


@pytest.mark.row(51)
@pytest.mark.parametrize(("head", "content"), [(True, False), (False, True)])
async def test_bucket_is_not_asked_by_a_run_that_sends_no_head_or_proves_no_content(
    new_rig: Callable[[str], Rig], head: bool, content: bool
) -> None:
    """Nobody wants to know."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.first_parts[KEY] = ODD
    await rig.download(head=head, content=content)
    assert rig.asked == 0


@pytest.mark.row(51)
async def test_question_is_asked_again_and_its_failure_fails_no_object(
    new_rig: Callable[[str], Rig],
) -> None:
    """The file is complete, and of the listed version."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.first_parts[KEY] = ODD
    rig.store.on("part", KEY, Act(error=ServerError("503")))
    assert await rig.download() == VERSION | Proof.MD5_OF_PARTS
    assert rig.asked == 2
    rig.store.always("part", KEY, Act(error=ServerError("503")))
    assert await rig.download() == VERSION
    rig.store.always("part", KEY, Act(error=AccessDeniedError(KEY, "no")))
    assert await rig.download() == VERSION


@pytest.mark.row(51)
async def test_question_that_shows_bad_credentials_ends_the_run(
    new_rig: Callable[[str], Rig],
) -> None:
    """As any other request does."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    rig.store.always("part", KEY, Act(error=AuthError("bad key")))
    with pytest.raises(AuthError):
        await rig.download()
    assert tree(rig.dest) == {}


@pytest.mark.row(51)
async def test_deep_verification_asks_as_well(new_rig: Callable[[str], Rig]) -> None:
    """It proves what a download does."""
    rig = new_rig(etag_of_parts(DATA, ODD))
    await rig.download(content=False)
    rig.store.first_parts[KEY] = ODD
    checks = Checks(content=False, parquet=False)
    verifier = Verifier(rig.store, rig.folder, quick_pace(), checks, deep=True)
    found = await verifier.verify(UpToDate(rig.remote))
    assert found.proven == VERSION | Proof.MD5_OF_PARTS
    assert rig.asked == 1

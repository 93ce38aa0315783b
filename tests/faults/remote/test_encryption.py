"""Objects that are encrypted by the server, whose ETag may be no MD5 (row 131)."""

from pathlib import Path

import pytest

from asyncsync.errors import IntegrityError, TransferError
from asyncsync.model import Downloaded, Proof
from tests.faults.remote.scene import (
    KEY,
    KINDS,
    PARTS,
    SMALL,
    assert_done,
    assert_only_key_failed,
)
from tests.rigs.acts import in_listing, s3_error
from tests.rigs.bucket import Bucket
from tests.rigs.fault_proxy import Act, Rule
from tests.rigs.fault_run import synced
from tests.rigs.scripted_s3 import ScriptedS3, checksum_of, sync
from tests.rigs.watch import tree

pytestmark = pytest.mark.anyio

TAG = "0123456789abcdef" * 2
"""An ETag of 32 hex digits that is no MD5."""
SSE = "x-amz-server-side-encryption"
KMS = pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])


def encrypted(algorithm: str, tag: str = TAG) -> list[Rule]:
    """Return what makes the server tell of an encryption and such an ETag."""
    act = Act(headers={"etag": f'"{tag}"', SSE: algorithm}, request={"if-match": None})
    return [
        Rule("LIST", "*", in_listing("<ETag>[^<]*<", f"<ETag>{tag}<")),
        Rule("*", "1hz/*", act),
    ]


@pytest.mark.row(131)
@KINDS
@KMS
@pytest.mark.parametrize("parts", ["", "-2"])
async def test_etag_of_an_object_with_a_key_of_kms_is_no_hash(
    bucket: Bucket, dest: Path, data: bytes, algorithm: str, parts: str
) -> None:
    """The object is fetched once, and counted among those without a hash."""
    bucket.put(KEY, data)
    run = await synced(bucket, dest, *encrypted(algorithm, TAG + parts), attempts=1)
    assert_done(run, data)
    assert run.report.without_hash == 2
    assert run.proxy.count("GET", KEY) == (2 if data is PARTS else 1)


@pytest.mark.row(131)
@KMS
async def test_checksum_proves_an_object_with_a_key_of_kms(dest: Path, algorithm: str) -> None:
    """Where HEAD tells one of the whole object."""
    async with ScriptedS3({KEY: SMALL}) as s3:
        s3.tag = lambda _: TAG
        s3.tells = lambda data: {**checksum_of(data), SSE: algorithm}
        ran = await sync(s3, dest)
    (done,) = ran.seen.outcomes
    assert isinstance(done, Downloaded)
    assert done.proven == Proof.SIZE_AND_VERSION | Proof.CRC64NVME
    assert (ran.code, tree(dest)) == (0, {KEY: SMALL})


@pytest.mark.row(131)
async def test_etag_of_an_object_with_a_key_of_s3_is_its_md5(bucket: Bucket, dest: Path) -> None:
    """SSE-S3 is what AWS encrypts everything with; so what differs is damaged."""
    bucket.put(KEY, SMALL)
    run = await synced(bucket, dest, Rule("*", KEY, Act(headers={SSE: "AES256"})))
    assert_done(run, SMALL)
    assert run.report.without_hash == 0
    run = await synced(bucket, dest.with_name("elsewhere"), *encrypted("AES256"))
    assert run.failures[KEY] is IntegrityError


@pytest.mark.row(131)
@KINDS
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "InvalidRequest",  # AWS, MinIO
            "The object was stored using a form of Server Side Encryption. The correct ...",
        ),
        (
            "InvalidArgument",  # Ceph
            "Requests specifying Server Side Encryption with Customer provided keys must ...",
        ),
        ("BadRequest", "Missing X-Amz-Server-Side-Encryption-Customer-Key header"),  # Swift
    ],
    ids=["aws", "ceph", "swift"],
)
async def test_object_with_a_customers_key_fails_alone_and_is_named_as_such(
    bucket: Bucket, dest: Path, data: bytes, code: str, message: str
) -> None:
    """After one look at it; an answer to HEAD has no body that would say so."""
    bucket.put(KEY, data)
    refused = s3_error("400 Bad Request", code, message)
    bodiless = s3_error("400 Bad Request")
    run = await synced(bucket, dest, Rule("HEAD", KEY, bodiless), Rule("GET", KEY, refused))
    assert_only_key_failed(run, TransferError)
    assert "encrypted with a customer's key (SSE-C)" in run.message
    assert message[:40] in run.message
    assert run.waited == 0

"""Public buckets, endpoints without TLS, and a wrong region, from the command line."""

import json
from pathlib import Path

import pytest

from tests.rigs.bucket import Bucket
from tests.rigs.called import Run
from tests.rigs.child import asyncsync
from tests.rigs.names import lead_here
from tests.rigs.scripted_s3 import Answer, ScriptedS3

KEYS = [f"1hz/{number:04d}.txt" for number in range(1001)]


def only(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the endpoint and the bucket, and nothing to sign with."""
    for name in ("R2_ENDPOINT_URL", "R2_BUCKET"):
        monkeypatch.setenv(name, bucket.server.environment()[name])


def make_public(bucket: Bucket) -> None:
    """Let everybody list and read the bucket."""
    name = f"arn:aws:s3:::{bucket.server.bucket}"
    allowed = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [name, f"{name}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    bucket._client.put_bucket_policy(Bucket=bucket.server.bucket, Policy=policy)


def test_public_bucket_needs_no_credentials(
    bucket: Bucket, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages, also those that aioboto3 asks for, and its objects come without a signature."""
    bucket.put_many(dict.fromkeys(KEYS, b"data"))
    make_public(bucket)
    only(bucket, monkeypatch)
    ran = run("--no-sign-request", "--include", "*", "--no-progress")
    assert (ran.code, ran.err) == (0, "")
    assert "1001 downloaded" in ran.out.replace(",", "")
    assert sorted(path.name for path in Path("downloads/1hz").iterdir()) == [
        key.rpartition("/")[2] for key in KEYS
    ]


def test_bucket_that_is_not_public_says_what_to_leave_out(
    bucket: Bucket, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with exit code 4."""
    only(bucket, monkeypatch)
    ran = run("--no-sign-request", "--no-progress")
    assert ran.code == 4
    assert "leave out --no-sign-request" in ran.err


def test_endpoint_without_tls_on_another_machine_needs_permission(
    bucket: Bucket, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without it nothing is sent, not even a question for its address; with it comes a warning."""
    bucket.put("a.txt", b"data")
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value.replace("127.0.0.1", "storage.example"))
    names = lead_here(monkeypatch)
    ran = run("--include", "*")
    assert (ran.code, names) == (2, [])
    assert "asyncsync: R2_ENDPOINT_URL: http:// would send data unencrypted" in ran.err
    ran = run("--include", "*", "--allow-http", "--no-progress")
    assert (ran.code, set(names)) == (0, {"storage.example"})
    assert "R2_ENDPOINT_URL: http:// sends all unencrypted" in caplog.text
    assert Path("downloads/a.txt").read_bytes() == b"data"


@pytest.mark.row(137)
@pytest.mark.anyio
@pytest.mark.parametrize(("command", "says"), [("sync", "asyncsync: "), ("doctor", "warning  ")])
async def test_region_that_is_put_right_is_said_aloud(command: str, says: str) -> None:
    """By a sync as by the doctor, which names what to set; all else is as if it were set."""
    elements = b"<Code>AuthorizationHeaderMalformed</Code><Region>garage</Region>"
    wrong = Answer(b"<Error>%b</Error>" % elements, 400)
    async with ScriptedS3({"a.txt": b"data"}) as s3:
        s3.on_list = lambda r: None if "/garage/s3/" in r.headers["authorization"] else wrong
        done = await asyncsync(s3.environment, command, "--include", "*")
    told = [line for line in (done.out + done.err).splitlines() if "region garage" in line]
    assert done.code == 0
    assert len(told) == 1
    assert told[0].startswith(says)
    assert told[0].endswith("; set R2_REGION=garage")

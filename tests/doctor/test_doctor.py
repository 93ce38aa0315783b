"""The doctor: whatever can be wrong is reported, with what to do about it."""

import gzip
import os
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from asyncsync.disk import Folder
from asyncsync.doctor import doctor
from asyncsync.doctor.bucket_checks import _duration, _find_suspect_setting
from asyncsync.model import Names, Settings
from asyncsync.report import Finding, Verdict
from tests.rigs.bucket import Bucket
from tests.rigs.decompressing import Decompressing
from tests.rigs.names import lead_here
from tests.rigs.scripted import Authority, ScriptedServer, answers, response
from tests.rigs.scripted_s3 import Answer, Request, ScriptedS3

pytestmark = pytest.mark.anyio

OK, WARNING, WRONG, SKIPPED = Verdict
OBJECTS = {"1hz/a.parquet": b"data" * 100, "1hz/b.parquet": b"data" * 100_000, "notes.txt": b"x"}
DENIED = Answer(b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", 403)
AUTHORITY = Authority()
STRANGER = Authority()
NOW = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Examined:
    """What the doctor reported."""

    code: int
    findings: dict[str, Finding]

    def verdicts(self, *checks: str) -> list[Verdict]:
        """Return the verdicts of these checks."""
        return [self.findings[check].verdict for check in checks]

    def text(self, check: str) -> str:
        """Return the text of this check."""
        return self.findings[check].text


def below(folder: Path) -> dict[str, bytes]:
    """Return every path below the folder, with its content."""
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


Examine = Callable[..., Awaitable[Examined]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Examine:
    """Run the doctor with settings from an environment, and with options."""

    async def examine(
        environment: dict[str, str],
        env_file: Path | None = None,
        prefixes: Sequence[str] = (),
        **given: object,
    ) -> Examined:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        findings: list[Finding] = []
        code = await doctor.examine(env_file, given, prefixes, findings.append)
        assert [finding.check for finding in findings] == [check.name for check in doctor.CHECKS]
        assert not any("the-secret" in finding.text for finding in findings)
        return Examined(code, {finding.check: finding for finding in findings})

    return examine


def leading_to(endpoint: str) -> dict[str, str]:
    return {
        "R2_ACCESS_KEY_ID": "AKID",
        "R2_SECRET_ACCESS_KEY": "the-secret",
        "R2_ENDPOINT_URL": endpoint,
        "R2_BUCKET": "sensors",
    }


async def test_nothing_is_wrong_where_a_sync_would_work(
    examine: Examine, bucket: Bucket, tmp_path: Path
) -> None:
    """The findings describe what was seen, and the destination is not changed."""
    bucket.put_many(OBJECTS)
    before = below(tmp_path)
    seen = await examine(bucket.server.environment())
    assert seen.code == 0
    assert WRONG not in seen.verdicts(*seen.findings)
    assert SKIPPED not in seen.verdicts(*seen.findings)
    assert "R2_ENDPOINT_URL, R2_BUCKET" in seen.text("settings")
    assert bucket.server.bucket in seen.text("endpoint")
    assert "2 of 3 objects in the bucket are selected" in seen.text("listing")
    assert seen.text("latency").startswith("HEAD ")
    assert "8 at once" in seen.text("throughput")
    assert seen.text("folder") == f"{tmp_path}/downloads can be created"
    assert below(tmp_path) == before


async def test_all_prefixes_are_listed(examine: Examine, bucket: Bucket) -> None:
    """A prefix without objects is named, and the others are read all the same."""
    bucket.put_many(OBJECTS)
    settings = bucket.server.environment()
    seen = await examine(settings, prefixes=["1hz/b", "notes"])
    assert seen.text("listing").endswith("; 1 of 2 objects under 1hz/b, notes are selected")
    seen = await examine(settings, prefixes=["1hz/", "typo/", "lost/"])
    assert seen.verdicts("listing", "head", "read", "throughput") == [WARNING, OK, OK, OK]
    assert seen.text("listing").endswith("there is no object under typo/, lost/")


# settings ---------------------------------------------------------------------------------------


async def test_missing_setting_is_wrong_and_all_other_checks_are_skipped(examine: Examine) -> None:
    """The finding names it, and the exit code is that of a run."""
    seen = await examine({**leading_to("https://host"), "R2_BUCKET": ""})
    assert seen.code == 2
    assert "R2_BUCKET: not set" in seen.text("settings")
    others = seen.verdicts(*seen.findings)[1:]
    assert others == [SKIPPED] * len(others)


async def test_origin_of_each_setting_is_reported(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is an option, the environment or the file; values that are overridden are left out."""
    file = tmp_path / "my.env"
    file.write_text("R2_BUCKET=other\nASYNCSYNC_WORKERS=4\nASYNCSYNC_ATTEMPTS=3\n")
    file.chmod(0o600)
    settings = {**leading_to(refused()), "ASYNCSYNC_ATTEMPTS": "2"}
    monkeypatch.delenv("ASYNCSYNC_PARQUET_CHECK", raising=False)
    seen = await examine(settings, file, dest=tmp_path / "dest")
    assert seen.text("settings").split("; ") == [
        f"{', '.join(settings)} from the environment",
        "ASYNCSYNC_DEST from --dest",
        f"ASYNCSYNC_WORKERS from {file}",
    ]


@pytest.mark.row(154)
@pytest.mark.parametrize("apart", ["R2_ENDPOINT_URL", "R2_SECRET_ACCESS_KEY", "R2_BUCKET"])
async def test_credentials_for_an_endpoint_from_elsewhere_are_a_warning(
    examine: Examine, tmp_path: Path, apart: str
) -> None:
    """Whoever wrote the endpoint may be meant to have other credentials, or none."""
    settings = leading_to(refused())
    (tmp_path / ".env").write_text(f"{apart}={settings.pop(apart)}\n")
    (tmp_path / ".env").chmod(0o600)
    seen = await examine(settings)
    assert seen.verdicts("settings") == [OK if apart == "R2_BUCKET" else WARNING]
    told = {
        "R2_ENDPOINT_URL": "R2_ENDPOINT_URL comes from .env, but R2_ACCESS_KEY_ID from the "
        "environment, R2_SECRET_ACCESS_KEY from the environment: make sure",
        "R2_SECRET_ACCESS_KEY": "R2_ENDPOINT_URL comes from the environment, but "
        "R2_SECRET_ACCESS_KEY from .env: make sure",
        "R2_BUCKET": "R2_BUCKET from .env",
    }
    assert told[apart] in seen.text("settings")


async def test_exposed_env_file_is_a_warning_or_wrong(examine: Examine, tmp_path: Path) -> None:
    """`--strict` makes it wrong; nothing is printed to standard error as well."""
    file = tmp_path / "my.env"
    file.write_text("R2_BUCKET=sensors\n")
    file.chmod(0o644)
    seen = await examine(leading_to(refused()), file)
    assert seen.verdicts("settings") == [WARNING]
    assert "chmod 600" in seen.text("settings")
    seen = await examine(leading_to(refused()), file, strict=True)
    assert (seen.code, seen.verdicts("settings")) == (2, [WRONG])


@pytest.mark.parametrize("variable", ["R2_BUCKET", "R2_REGION"], ids=["needed", "not needed"])
async def test_empty_variable_that_hides_the_file_is_named(
    examine: Examine, tmp_path: Path, variable: str
) -> None:
    """It is wrong if a run needs the variable, and a warning if not."""
    (tmp_path / ".env").write_text(f"{variable}=sensors\n")
    (tmp_path / ".env").chmod(0o600)
    seen = await examine({**leading_to(refused()), variable: ""})
    assert seen.verdicts("settings") == [WRONG if variable == "R2_BUCKET" else WARNING]
    assert f"{variable} is empty in the environment" in seen.text("settings")


async def test_unknown_setting_is_a_warning(examine: Examine) -> None:
    """Its name begins like a setting's, but no setting has it."""
    seen = await examine({**leading_to(refused()), "ASYNCSYNC_WORKER": "7"})
    assert seen.verdicts("settings") == [WARNING]
    assert seen.text("settings") == "ASYNCSYNC_WORKER is not the name of a setting: mistyped?"


async def test_mistyped_name_of_a_needed_setting_is_named(examine: Examine) -> None:
    """Beside the setting that is missing because of it."""
    settings = leading_to(refused())
    settings["R2_BUKET"] = settings.pop("R2_BUCKET")
    seen = await examine(settings)
    assert seen.verdicts("settings") == [WRONG]
    assert seen.text("settings").startswith("R2_BUCKET: not set;")
    assert "R2_BUKET is not the name of a setting: mistyped?" in seen.text("settings")


ID, KEY = "76543210fedcba98" * 2, "76543210fedcba98" * 4
ACCOUNT = f"https://{ID}.r2.cloudflarestorage.com"
OF_AWS = Settings(
    *(ID, ID, "https://s3.eu-west-1.amazonaws.com", "sensors"),
    names=Names(secret_access_key="AWS_SECRET_ACCESS_KEY", endpoint_url="--endpoint-url"),
)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Settings(ID, KEY, ACCOUNT, "sensors"), ""),
        (Settings(ID, KEY, f"https://{ID}.eu.r2.cloudflarestorage.com", "sensors"), ""),
        (Settings("any", "any", "https://s3.example", "sensors"), ""),
        (Settings("", "", ACCOUNT, "sensors"), "leave out --no-sign-request"),
        (Settings(KEY, ID, ACCOUNT, "sensors"), "R2_ACCESS_KEY_ID: R2 uses 32"),
        (Settings(ID, ID, ACCOUNT, "sensors"), "R2_SECRET_ACCESS_KEY: R2 uses 64"),
        (Settings(ID, KEY, "https://me.r2.cloudflarestorage.com", "sensors"), "an account ID"),
        (Settings(ID, KEY, "https://pub-1.r2.dev", "sensors"), "r2.dev serves a bucket to browser"),
        (Settings("A", "b", "https://s3.eu-west-1.amazonaws.com", "sensors"), "R2_REGION: AWS"),
        (replace(OF_AWS, endpoint_url=ACCOUNT), "AWS_SECRET_ACCESS_KEY: R2 uses 64"),
        (replace(OF_AWS, endpoint_url="https://pub-1.r2.dev"), "--endpoint-url: r2.dev serves"),
        (replace(OF_AWS, names=Names(region="--region")), "--region: AWS needs"),
    ],
)
def test_probable_mistakes_in_settings_are_found(settings: Settings, problem: str) -> None:
    """A value in the wrong variable is reported, and never shown."""
    found = _find_suspect_setting(settings)
    assert problem in found
    assert bool(found) == bool(problem)
    assert KEY not in found


async def test_unusable_ca_file_is_an_error_of_the_settings(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The exit code is 2, as in a run."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    seen = await examine(leading_to("https://127.0.0.1"))
    assert (seen.code, seen.verdicts("endpoint", "name")) == (2, [WRONG, SKIPPED])
    assert "SSL_CERT_FILE" in seen.text("endpoint")


# connecting -------------------------------------------------------------------------------------


def refused() -> str:
    """Return an endpoint that refuses connections."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_unknown_host_is_named(examine: Examine) -> None:
    """No connection is attempted, and the checks of the destination run all the same."""
    seen = await examine(leading_to("https://nowhere.invalid"))
    assert seen.code == 4
    assert seen.verdicts("name", "connection", "listing", "folder") == [WRONG, SKIPPED, SKIPPED, OK]
    assert "nowhere.invalid:443" in seen.text("name")
    assert "check the endpoint" in seen.text("name")


async def test_refused_connection_is_wrong(examine: Examine) -> None:
    """A run would retry, and end with exit code 4."""
    seen = await examine(leading_to(refused()))
    assert seen.code == 4
    assert seen.verdicts("name", "connection", "clock") == [OK, WRONG, SKIPPED]
    assert "HTTPS_PROXY" in seen.text("connection")


async def test_connection_without_tls_says_who_can_read_it(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this machine nobody; on the way to another one, everybody."""
    async with ScriptedS3(OBJECTS) as s3:
        seen = await examine(s3.environment)
        assert seen.text("connection").endswith("which is for servers on this machine only")
        lead_here(monkeypatch)
        elsewhere = s3.endpoint.replace("127.0.0.1", "storage.example")
        seen = await examine({**s3.environment, "R2_ENDPOINT_URL": elsewhere}, allow_http=True)
    assert seen.verdicts("settings", "connection", "listing") == [WARNING, OK, OK]
    assert seen.text("connection").endswith("so whoever is on the way can read and change all")


@pytest.fixture
def own_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Trust the certificate authority of these tests."""
    path = tmp_path / "authority.pem"
    AUTHORITY.ca.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


@pytest.mark.usefixtures("own_authority")
@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (AUTHORITY.server("other.example"), "it is not valid for '127.0.0.1'"),
        (AUTHORITY.server(not_after=NOW - timedelta(days=1)), "certificate has expired"),
        (STRANGER.server(), "unable to get local issuer certificate"),
    ],
    ids=["other name", "expired", "unknown authority"],
)
async def test_bad_certificate_is_wrong_and_no_request_is_sent(
    examine: Examine, server: ssl.SSLContext, reason: str
) -> None:
    """The reason is the one that a run would give."""
    async with ScriptedServer(answers(response()), tls=server) as endpoint:
        seen = await examine(leading_to(endpoint.endpoint))
        assert endpoint.heads == []
    assert (seen.code, seen.verdicts("connection", "listing")) == (4, [WRONG, SKIPPED])
    assert reason in seen.text("connection")


@pytest.mark.usefixtures("own_authority")
@pytest.mark.parametrize(("days", "verdict"), [(5, WARNING), (100, OK)])
async def test_certificate_that_expires_soon_is_a_warning(
    examine: Examine, days: int, verdict: Verdict
) -> None:
    """The finding has the TLS version in any case."""
    server = AUTHORITY.server(not_after=NOW + timedelta(days=days))
    async with ScriptedServer(answers(response(status="404 -")), tls=server) as endpoint:
        seen = await examine(leading_to(endpoint.endpoint))
    assert seen.verdicts("connection") == [verdict]
    assert "TLSv1.3" in seen.text("connection")


@pytest.mark.usefixtures("own_authority")
async def test_certificate_is_told_where_no_temporary_file_can_be_written(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run needs none either."""
    server = AUTHORITY.server()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    async with ScriptedServer(answers(response(status="404 -")), tls=server) as endpoint:
        seen = await examine(leading_to(endpoint.endpoint))
    assert "the certificate is valid for the host until" in seen.text("connection")


@pytest.mark.parametrize(
    ("seconds", "verdict", "text"),
    [
        (3, OK, "agree"),
        (-300, WARNING, "300 s ahead of"),
        (1000, WARNING, "1000 s behind"),
        (None, SKIPPED, "does not report"),
    ],
)
async def test_clock_is_compared_with_the_servers(
    examine: Examine, seconds: float | None, verdict: Verdict, text: str
) -> None:
    """A large offset is a warning: the server may refuse requests because of it."""

    def dated(request: Request) -> Answer | None:
        if seconds is None or request.key:
            return None
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        return Answer(status=403, headers={"Date": date})

    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = dated
        seen = await examine(s3.environment)
    assert seen.verdicts("clock", "listing") == [verdict, OK]
    said = seen.text("clock").replace("299 s", "300 s").replace("1001 s", "1000 s")
    assert text in said.replace("999 s", "1000 s").replace("301 s", "300 s")


# the bucket -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("R2_ACCESS_KEY_ID", "nobody", "not accepted: 403 InvalidAccessKeyId"),
        ("R2_SECRET_ACCESS_KEY", "a-wrong-one", "not accepted: 403 SignatureDoesNotMatch"),
        ("R2_BUCKET", "no-such-bucket", "no such bucket"),
    ],
)
async def test_wrong_key_secret_or_bucket_is_found_by_listing(
    examine: Examine, bucket: Bucket, variable: str, value: str, text: str
) -> None:
    """A real server refuses the request, and checks that need a listing are skipped."""
    seen = await examine({**bucket.server.environment(), variable: value})
    assert seen.code == 4
    assert text in seen.text("listing")
    assert seen.verdicts("listing", "head", "read", "latency") == [WRONG, *[SKIPPED] * 3]


async def test_token_that_may_not_list_gets_a_hint(examine: Examine) -> None:
    """The token may lack the permission, or the bucket be in another jurisdiction."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: DENIED
        seen = await examine(s3.environment)
    assert (seen.code, seen.verdicts("listing")) == (4, [WRONG])
    assert "Object Read" in seen.text("listing")
    assert "jurisdiction" in seen.text("listing")


async def test_token_that_may_not_read_gets_a_hint(examine: Examine) -> None:
    """It is wrong, since every object of a sync would fail."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = lambda request: DENIED if request.key else None
        seen = await examine(s3.environment)
    assert (seen.code, seen.verdicts("listing", "head", "read")) == (1, [OK, WRONG, WRONG])
    assert "may list, but not read" in seen.text("read")


async def test_request_that_fails_is_sent_twice(examine: Examine) -> None:
    """A run makes more attempts, but here a person waits for the result."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_list = lambda request: Answer(status=500)
        seen = await examine(s3.environment)
        assert s3.count("LIST") == 2
    assert (seen.code, seen.verdicts("listing")) == (4, [WRONG])


@pytest.mark.parametrize(
    ("objects", "text"),
    [
        ({}, "there is no object in the bucket"),
        (
            {"a.txt": b"", "b/": b""},
            "all 1 objects in the bucket are left out: no key matches --include '*.parquet'",
        ),
    ],
)
async def test_bucket_without_a_selected_object_is_a_warning(
    examine: Examine, objects: dict[str, bytes], text: str
) -> None:
    """Checks that need an object with content are skipped."""
    async with ScriptedS3(objects) as s3:
        seen = await examine(s3.environment)
    assert seen.code == 0
    assert seen.verdicts("listing", "read", "throughput") == [WARNING, SKIPPED, SKIPPED]
    assert text in seen.text("listing")


async def test_prefixes_that_cannot_be_stripped_are_wrong_settings(examine: Examine) -> None:
    """A sync would end with the same exit code, before any request."""
    seen = await examine(leading_to("https://host"), prefixes=["1hz"], strip_prefix=True)
    assert (seen.code, seen.verdicts("settings", "listing")) == (2, [WRONG, SKIPPED])
    assert "1hz is not a whole folder" in seen.text("settings")


async def test_head_that_differs_from_the_listing_is_a_warning(examine: Examine) -> None:
    """It is not wrong, since the object may have been replaced just now."""
    async with ScriptedS3(OBJECTS) as s3:
        s3.on_object = lambda r: Answer(headers={"ETag": '"x"'}) if r.verb == "HEAD" else None
        seen = await examine(s3.environment)
    assert seen.verdicts("head") == [WARNING]


@pytest.mark.row(129)
async def test_objects_that_the_server_decompresses_are_no_fault(examine: Examine) -> None:
    """They agree with the listing, and can be read; only what takes long is not measured."""
    async with ScriptedS3({"1hz/a.parquet": gzip.compress(os.urandom(400_000))}) as s3:
        s3.on_object = Decompressing(s3)
        seen = await examine(s3.environment)
    assert seen.verdicts("head", "read", "latency", "throughput") == [OK, OK, OK, WARNING]


async def test_measurement_that_fails_is_a_warning(examine: Examine) -> None:
    """It is not wrong, since a run would retry."""
    async with ScriptedS3(OBJECTS) as s3:
        whole = Answer(OBJECTS["1hz/b.parquet"], cut=10)
        s3.on_object = lambda r: whole if r.verb == "GET" and "range" not in r.headers else None
        seen = await examine(s3.environment)
    assert seen.verdicts("read", "throughput") == [OK, WARNING]


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.19, "3.2 s"), (119.0, "119 s"), (600.0, "10 min"), (9000.0, "2 h")]
)
def test_duration_is_rounded(seconds: float, text: str) -> None:
    """It is in seconds, minutes or hours, without digits that were not measured."""
    assert _duration(seconds) == text


# the destination --------------------------------------------------------------------------------


async def test_file_in_place_of_the_destination_is_wrong(examine: Examine, tmp_path: Path) -> None:
    """Checks that write to the destination are skipped."""
    (tmp_path / "file").touch()
    seen = await examine(leading_to(refused()), dest=tmp_path / "file" / "dest")
    assert seen.verdicts("folder", "names", "lock") == [WRONG, SKIPPED, SKIPPED]
    assert seen.findings["folder"].exit_code == 5
    assert "choose another --dest" in seen.text("folder")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no folder that nobody can write to")
async def test_destination_that_nobody_can_write_is_wrong(examine: Examine) -> None:
    """Not even root can create a folder below /proc."""
    seen = await examine(leading_to(refused()), dest=Path("/proc/downloads"))
    assert seen.verdicts("folder") == [WRONG]
    assert seen.findings["folder"].exit_code == 5


async def test_existing_destination_is_not_changed(examine: Examine, tmp_path: Path) -> None:
    """That holds also for the state folder of an earlier run."""
    with Folder(tmp_path / "dest").writing():
        pass
    before = below(tmp_path / "dest")
    seen = await examine(leading_to(refused()), dest=tmp_path / "dest")
    assert seen.verdicts("folder", "lock") == [OK, OK]
    assert below(tmp_path / "dest") == before


async def test_destination_of_another_run_is_wrong(examine: Examine, tmp_path: Path) -> None:
    """The exit code is 6, whatever else is wrong, and the finding names the process."""
    with Folder(tmp_path / "dest").writing():
        seen = await examine(leading_to(refused()), dest=tmp_path / "dest")
    assert (seen.code, seen.verdicts("lock")) == (6, [WRONG])
    assert f"process {os.getpid()}" in seen.text("lock")


async def test_what_the_server_lacks_is_told(examine: Examine) -> None:
    """A sync does without, so nothing is wrong; the option that asks for no HEAD is named."""
    async with ScriptedS3(OBJECTS, second="refused") as s3:
        s3.on_object = lambda request: Answer(b"", 405) if request.verb == "HEAD" else None
        seen = await examine(s3.environment)
    assert seen.verdicts("listing", "head", "read", "latency") == [OK, WARNING, OK, SKIPPED]
    assert "knows no ListObjectsV2" in seen.text("listing")
    assert "--validate response" in seen.text("head")
    assert seen.code == 0


async def test_objects_in_an_archive_are_not_tried(examine: Examine) -> None:
    """A sync skips them; of all others nothing is wrong."""
    async with ScriptedS3(OBJECTS | {"1hz/0.parquet": b"1", "1hz/z.parquet": b"2" * 500_000}) as s3:
        archived = {"1hz/0.parquet", "1hz/z.parquet"}
        page = s3.page(*sorted(s3.objects))
        for key in archived:
            entry = f"<Contents><Key>{key}</Key>".encode()
            page = page.replace(entry, entry + b"<StorageClass>GLACIER</StorageClass>")
        s3.on_list = lambda _: Answer(page)
        s3.on_object = lambda request: DENIED if request.key in archived else None
        seen = await examine(s3.environment)
    assert seen.verdicts("listing", "head", "read", "throughput") == [OK] * 4
    assert seen.code == 0

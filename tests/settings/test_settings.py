"""Settings: where they come from, which place wins, and what is refused without being shown."""

import logging
import os
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync import others
from asyncsync.errors import ConfigError
from asyncsync.model import Addressing, Settings
from asyncsync.secret import Secret
from asyncsync.settings import Options, Validate, bucket_identity, load
from tests.rigs.environment import ENDPOINT, REQUIRED, SECRET, options


def settings(**changed: str) -> Settings:
    """Return the settings of an environment with these variables changed."""
    return load(environ={**REQUIRED, **changed})[0]


def refusal(**changed: str) -> str:
    """Return what a user could see of the error about an environment, including its cause."""
    with pytest.raises(ConfigError) as caught:
        settings(**changed)
    return "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)


def env_file(text: str | bytes, path: str = ".env") -> Path:
    file = Path(path)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


# where they come from


def test_environment_is_enough() -> None:
    """Without an env file, four variables are needed; all others have defaults."""
    found, defaults = load(environ=REQUIRED)
    assert found == Settings("AKID", SECRET, ENDPOINT, "sensor-data", "", "auto")
    assert defaults == Options()
    assert defaults == Options(
        Path("downloads"), ("*.parquet",), (), None, 256, Validate.CONTENT, True, attempts=8
    )


def test_env_file_is_enough() -> None:
    """`./.env` is read by default."""
    env_file("".join(f"{name}={value}\n" for name, value in REQUIRED.items()))
    assert load(environ={})[0] == settings()


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a given environment, that of the process is used."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert load()[0] == settings()


def test_argument_beats_environment_beats_file() -> None:
    """The first place that sets an option wins; None counts as not set."""
    env_file("ASYNCSYNC_DEST=file\nASYNCSYNC_WORKERS=1\nASYNCSYNC_ATTEMPTS=1\nR2_BUCKET=file\n")
    environ = {"ASYNCSYNC_WORKERS": "2", "ASYNCSYNC_ATTEMPTS": "2"}
    found = options(environ, attempts=3, workers=None)
    assert (found.dest, found.workers, found.attempts) == (Path("file"), 2, 3)
    assert settings().bucket == "sensor-data"


def test_named_env_file_is_the_only_one() -> None:
    """A named file is read instead of `./.env`."""
    env_file("R2_REGION=wrong\n")
    named = env_file("R2_SESSION_TOKEN=token\n", "other.env")
    found, _ = load(named, REQUIRED)
    assert (found.region, found.session_token) == ("auto", Secret("token"))


def test_named_env_file_must_exist() -> None:
    """A named file that does not exist is an error; a missing `./.env` is not."""
    with pytest.raises(ConfigError, match=r"nowhere\.env: no such file"):
        load(Path("nowhere.env"), REQUIRED)


@pytest.mark.parametrize("name", [".env", "named.env"])
def test_pipe_is_refused_as_env_file(name: str) -> None:
    """An env file is read again when credentials expire; a pipe can be read only once."""
    os.mkfifo(name)
    with pytest.raises(ConfigError, match=rf"{name}: is a pipe or a device; use a file"):
        load(None if name == ".env" else Path(name), REQUIRED)


def test_folder_is_refused_as_named_env_file() -> None:
    """A folder `./.env` is ignored: it may be a virtual environment."""
    Path(".env").mkdir()
    assert load(None, REQUIRED)[0] == settings()
    with pytest.raises(ConfigError, match=r"^\.env: is a folder, not an env file"):
        load(Path(".env"), REQUIRED)


@pytest.mark.row(125)
def test_env_file_of_a_parent_folder_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent folder may belong to another user."""
    env_file("R2_BUCKET=from-above\n")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    with pytest.raises(ConfigError, match="R2_BUCKET"):
        load(environ={name: REQUIRED[name] for name in REQUIRED if name != "R2_BUCKET"})


def test_env_file_is_not_copied_into_the_environment() -> None:
    """Child processes inherit no secrets from the file."""
    before = dict(os.environ)
    env_file("".join(f"{name}={value}\n" for name, value in REQUIRED.items()))
    load()
    assert dict(os.environ) == before


@pytest.mark.row(123)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"R2_SECRET_ACCESS_KEY=plain", "plain"),
        (b"\xef\xbb\xbfR2_SECRET_ACCESS_KEY=after-bom", "after-bom"),
        (b"R2_SECRET_ACCESS_KEY=crlf\r\nOTHER=x\r\n", "crlf"),
        (b"R2_SECRET_ACCESS_KEY='single'", "single"),
        (b'R2_SECRET_ACCESS_KEY="double"', "double"),
        (b"export R2_SECRET_ACCESS_KEY=exported", "exported"),
        (b"  R2_SECRET_ACCESS_KEY  =  spaced  ", "spaced"),
        (b"# a comment\n\nR2_SECRET_ACCESS_KEY=commented # here", "commented"),
        (b"R2_SECRET_ACCESS_KEY=has#inside", "has#inside"),
        (b'R2_SECRET_ACCESS_KEY="has#inside" # why', "has#inside"),
        (b"R2_SECRET_ACCESS_KEY=one\nR2_SECRET_ACCESS_KEY=two", "two"),
        (b"X=1\nR2_SECRET_ACCESS_KEY=a$X${X}$(id)`id`", "a$X${X}$(id)`id`"),
        (b'X=1\nR2_SECRET_ACCESS_KEY="a$X${X}"', "a$X${X}"),
        (b"R2_SECRET_ACCESS_KEY=a=b==", "a=b=="),
    ],
)
def test_env_file_is_read_literally(line: bytes, expected: str) -> None:
    """Byte order mark, line ends, quotes, `export` and comments go; nothing is expanded."""
    env_file(line)
    environ = {name: REQUIRED[name] for name in REQUIRED if name != "R2_SECRET_ACCESS_KEY"}
    assert load(environ=environ)[0].secret_access_key == Secret(expected)


@pytest.mark.row(124)
@pytest.mark.parametrize(
    ("mode", "is_alone", "hint"),
    [
        (0o600, False, ""),
        (0o400, False, ""),
        (0o640, True, ""),
        (0o640, False, "chmod 600 .env"),
        (0o604, True, "chmod 600 .env"),
    ],
)
def test_env_file_that_others_can_read_is_warned_of_or_refused(
    mode: int,
    is_alone: bool,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is a warning with a hint, or an error if strict; it never shows a value of the file."""
    env_file(f"R2_SECRET_ACCESS_KEY={SECRET}\n").chmod(mode)
    monkeypatch.setattr(others, "_is_alone_in", lambda group, file: is_alone)
    load(environ=REQUIRED)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert bool(told) == bool(hint)
    assert hint in caplog.text
    if hint:
        with pytest.raises(ConfigError, match=hint):
            load(environ=REQUIRED, given={"strict": True})
    else:
        load(environ={**REQUIRED, "ASYNCSYNC_STRICT": "yes"})
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ASYNCSYNC_DSET", "in .env is no setting, and does nothing; did you mean ASYNCSYNC_DEST?"),
        ("R2_SESION_TOKEN", "in .env is no setting, and does nothing; did you mean R2_SESSION"),
        ("ASYNCSYNC_LOG_FILE", "in .env is no setting, and does nothing; see .env.example"),
        ("R2_ACCOUNT_ID", ""),  # other programs read it
        (f"R2_SESSION_TOKEN:{SECRET}", ""),
        (f"ASYNCSYNC_{SECRET}", ""),
    ],
)
def test_mistyped_name_in_the_env_file_is_told(
    name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is meant by it would be lost in silence. Only what looks like a name is shown."""
    env_file(f"{name}=nothing\n").chmod(0o600)
    load(environ=REQUIRED)
    assert [message.startswith(f"{name} {told}") for message in caplog.messages] == [True] * bool(
        told
    )
    assert SECRET not in caplog.text


def test_mistyped_name_of_a_setting_that_is_missing_is_told_with_it() -> None:
    """Not in a line of its own, which would come after the error, or never."""
    mistyped = {**REQUIRED, "R2_BUKET": "sensors"}
    del mistyped["R2_BUCKET"]
    told = "^R2_BUCKET: not set; .*; R2_BUKET in the environment is no setting, .* mean R2_BUCKET"
    with pytest.raises(ConfigError, match=told):
        load(environ=mistyped)


@pytest.mark.parametrize(
    ("name", "is_told"),
    [("ASYNCSYNC_WORKER", True), ("ASYNCSYNC_PORT", False), ("ASYNCSYNC_SERVICE_HOST", False)],
)
def test_variable_of_the_environment_is_told_if_it_is_nearly_a_setting(
    name: str, *, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Kubernetes sets the others, for a service that is called `asyncsync`."""
    load(environ={**REQUIRED, name: "7"})
    wanted = f"{name} in the environment is no setting, and does nothing; did you mean {name}S?"
    assert caplog.messages == [wanted] * is_told


def test_env_file_that_is_not_read_brings_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """That holds when another file is named, and when there is none."""
    env_file("", "other.env").chmod(0o600)
    load(environ=REQUIRED, given={"strict": True})
    env_file("").chmod(0o644)
    load(Path("other.env"), REQUIRED, {"strict": True})
    assert not caplog.records


def test_env_file_that_is_not_text_is_refused() -> None:
    """The error names a file that is not valid UTF-8, and does not show its bytes."""
    env_file(b"R2_SECRET_ACCESS_KEY=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env: is no text in UTF-8"):
        load(environ=REQUIRED)


def test_line_that_is_no_setting_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A malformed line may hold a secret: the log has its number at most."""
    env_file(f'R2_BUCKET="{SECRET}\n')
    with caplog.at_level(logging.DEBUG):
        load(environ=REQUIRED)
    assert SECRET not in caplog.text


def test_settings_can_be_reloaded() -> None:
    """The same file and environment are read again, with their current values."""
    path = env_file("".join(f"{name}={value}\n" for name, value in REQUIRED.items()))
    found = load(path, environ={})[0]
    path.write_text(path.read_text().replace("AKID", "NEWID"))
    assert found.reload is not None
    assert found.reload().access_key_id == "NEWID"
    path.unlink()
    with pytest.raises(ConfigError):
        found.reload()


@pytest.mark.row(163)
@pytest.mark.parametrize("endpoint", [ENDPOINT, "http://127.0.0.1:8333"])
def test_log_of_tls_keys_is_warned_of(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are not written, and whoever expects them should know; without TLS there are none."""
    monkeypatch.setenv("SSLKEYLOGFILE", "/somewhere/keys")
    settings(R2_ENDPOINT_URL=endpoint)
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["/somewhere/keys" in message for message in told] == [True] * (endpoint == ENDPOINT)


# what is refused


@pytest.mark.row(122)
@pytest.mark.parametrize("has_file", [False, True])
def test_missing_env_file_is_told_when_something_is_not_set(has_file: bool) -> None:
    """The message says that `./.env` does not exist: this may be the wrong folder."""
    if has_file:
        env_file("R2_BUCKET=sensor-data\n")
    with pytest.raises(ConfigError, match=r"or in \.env") as caught:
        load(environ={})
    assert ("there is no such file here" in str(caught.value)) != has_file


@pytest.mark.row(122)
@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize("name", list(REQUIRED))
def test_missing_variable_is_named(name: str, value: str | None) -> None:
    """Empty counts as missing; the message names the variable, and shows no value."""
    environ = {**REQUIRED, name: value or ""}
    if value is None:
        del environ[name]
    with pytest.raises(ConfigError) as caught:
        load(environ=environ)
    assert name in str(caught.value)
    assert not [other for other in REQUIRED if other != name and other in str(caught.value)]
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2


def test_all_missing_variables_are_named_at_once() -> None:
    """One message names them all."""
    with pytest.raises(ConfigError) as caught:
        load(environ={})
    assert all(name in str(caught.value) for name in REQUIRED)


@pytest.mark.row(123)
@pytest.mark.parametrize("name", [*REQUIRED, "R2_SESSION_TOKEN", "R2_REGION"])
@pytest.mark.parametrize("stray", [" ", "\r", "\n", "\t", "\x1b", "\x00", "\u201c", "é", "\u200b"])
def test_stray_character_is_reported_without_the_value(name: str, stray: str) -> None:
    """No credential has such a character; the message names the variable."""
    seen = refusal(**{name: f"top{stray}secret"})
    assert name in seen
    assert "secret" not in seen


def test_white_space_around_a_value_is_removed() -> None:
    """A line end copied along with a secret does no harm."""
    assert settings(R2_SECRET_ACCESS_KEY=f" {SECRET}\r\n").secret_access_key == Secret(SECRET)


@given(st.text(min_size=1))
def test_no_value_of_a_credential_is_ever_shown(value: str) -> None:
    """Neither the error nor the repr of the settings holds a secret."""
    secret = f"<{value}>"
    try:
        found = settings(R2_SECRET_ACCESS_KEY=secret, R2_SESSION_TOKEN=secret)
        seen = f"{found} {found!r}"
    except ConfigError as error:
        seen = f"{error} {error!r} {error.__cause__!r}"
    assert secret not in seen


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (ENDPOINT, ENDPOINT),
        (f"{ENDPOINT}/", ENDPOINT),
        (f"{ENDPOINT}/sensor-data", ENDPOINT),
        (f"{ENDPOINT}/sensor-data/", ENDPOINT),
        (
            "HTTPS://account.eu.r2.cloudflarestorage.com",
            "https://account.eu.r2.cloudflarestorage.com",
        ),
        ("https://minio.example:9000", "https://minio.example:9000"),
        ("https://h.example/storage/v1/s3", "https://h.example/storage/v1/s3"),
        ("https://h.example/storage/v1/s3/", "https://h.example/storage/v1/s3"),
        ("https://h.example/s3/sensor-data", "https://h.example/s3"),
        ("https://h.example/~me/a%20b_c", "https://h.example/~me/a%20b_c"),
        ("https://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.amazonaws.com/sensor-data", "https://s3.amazonaws.com"),
        ("https://sensor-data.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://sensor-data.me.r2.cloudflarestorage.com", "https://me.r2.cloudflarestorage.com"),
        ("https://SENSOR-data.s3.amazonaws.com:444/", "https://s3.amazonaws.com:444"),
        ("https://sensor-data.minio.example", "https://sensor-data.minio.example"),
        ("http://localhost:8333", "http://localhost:8333"),
        ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("http://[::1]:8333", "http://[::1]:8333"),
    ],
)
def test_endpoint_is_scheme_host_port_and_path(url: str, expected: str) -> None:
    """The bucket's name is removed, behind it or in front of a host of R2's or AWS's."""
    assert settings(R2_ENDPOINT_URL=url).endpoint_url == expected


@pytest.mark.row(144)
@pytest.mark.parametrize(
    ("url", "bucket"),
    [
        ("https://h.example/tenant:b", "tenant:b"),
        ("https://h.example/tenant%3Ab", "tenant:b"),
        ("https://h.example/b%C3%BC%20b", "b\u00fc b"),
    ],
)
def test_bucket_with_any_name_is_removed_from_the_endpoint(url: str, bucket: str) -> None:
    """As it is, or as it is written in a URL."""
    found = settings(R2_ENDPOINT_URL=url, R2_BUCKET=bucket)
    assert (found.endpoint_url, found.bucket) == ("https://h.example", bucket)


@pytest.mark.row(144)
@pytest.mark.parametrize("url", ["http://host", "http://10.0.0.1:9000", "http://localhost.example"])
def test_endpoint_without_tls_elsewhere_is_warned_of_where_it_is_allowed(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """With `--allow-http`; also when the settings are read again."""
    found, _ = load(environ={**REQUIRED, "R2_ENDPOINT_URL": url}, given={"allow_http": True})
    assert found.endpoint_url == url
    assert found.reload is not None
    assert found.reload() == found
    [told] = [record.getMessage() for record in caplog.records]
    assert told.startswith("R2_ENDPOINT_URL: http:// sends all unencrypted")


def test_endpoint_without_tls_on_this_machine_needs_no_permission(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor does one with TLS bring a warning when it is given."""
    for url in ("http://127.0.0.1:9000", "https://host"):
        load(environ={**REQUIRED, "R2_ENDPOINT_URL": url}, given={"allow_http": True})
    assert not caplog.records


def test_region_of_aws_is_that_of_its_host() -> None:
    """Unless another one is set; to other services it is `auto`."""
    aws = "https://s3.eu-west-1.amazonaws.com"
    assert settings(R2_ENDPOINT_URL=aws).region == "eu-west-1"
    assert settings(R2_ENDPOINT_URL="https://s3.amazonaws.com").region == "us-east-1"
    assert settings(R2_ENDPOINT_URL=aws, R2_REGION="auto").region == "auto"


def test_requests_without_a_signature_need_no_credentials() -> None:
    """And use none that are set, as those of another bucket may be; also when read again."""
    public = {name: REQUIRED[name] for name in ("R2_ENDPOINT_URL", "R2_BUCKET")}
    for environ in (public, REQUIRED | {"R2_SESSION_TOKEN": "token"}):
        found, _ = load(environ=environ, given={"sign_request": False})
        assert found == Settings("", "", ENDPOINT, "sensor-data")
        assert found.reload is not None
        assert found.reload() == found
    with pytest.raises(ConfigError, match=r"^R2_BUCKET: not set"):
        load(environ={"R2_ENDPOINT_URL": ENDPOINT, "ASYNCSYNC_SIGN_REQUEST": "no"})


def test_sender_and_addressing_come_from_the_options() -> None:
    """As arguments or as variables."""
    variables = {"ASYNCSYNC_REQUEST_PAYER": "requester", "ASYNCSYNC_ADDRESSING": "virtual"}
    arguments = {"request_payer": True, "addressing": "virtual"}
    for found, _ in (
        load(environ={**REQUIRED, **variables}),
        load(environ=REQUIRED, given=arguments),
    ):
        assert found.request_payer
        assert found.addressing is Addressing.VIRTUAL


@pytest.mark.parametrize(
    "changed",
    [
        {"R2_ENDPOINT_URL": "https://127.0.0.1"},
        {"R2_BUCKET": "a_b", "R2_ENDPOINT_URL": "https://h"},
    ],
)
def test_bucket_that_no_host_can_name_is_refused_for_virtual_addressing(
    changed: dict[str, str],
) -> None:
    """Before any request is sent to what cannot be there."""
    assert "virtual is not possible" in refusal(ASYNCSYNC_ADDRESSING="virtual", **changed)


@pytest.mark.row(126)
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("account.r2.cloudflarestorage.com", "no scheme"),
        ("localhost:8333", "no scheme"),
        ("ftp://host", "not an HTTP address"),
        ("https://", "not an HTTP address"),
        ("https://:443", "not an HTTP address"),
        ("https://host:0", "not an HTTP address"),
        ("https://<account>.r2.cloudflarestorage.com", "the account's ID for <account>"),
        ("https://my_host", "not a valid host name"),
        ("https://host..example", "not a valid host name"),
        ("https://-host", "not a valid host name"),
        ("https://host:port", "not a URL"),
        ("https://host:65536", "not a URL"),
        ("https://[::1", "not a URL"),
        ("http://host", "https://"),
        ("http://10.0.0.1", "https://"),
        ("http://localhost.example", "https://"),
        ("http://127.0.0.1.example", "https://"),
        (f"{ENDPOINT}/another-bucket", "the path after the host"),
        (f"{ENDPOINT}/sensor-data/1hz", "the path after the host"),
        ("https://s3.eu-west-1.amazonaws.com/s3", "the path after the host"),
        ("https://sensor-data.s3.eu-west-1.amazonaws.com/s3", "the path after the host"),
        ("https://h.example/a//b", "the path after the host"),
        ("https://h.example/a/../b", "the path after the host"),
        ("https://h.example/.", "the path after the host"),
        ("https://h.example/a+b", "the path after the host"),
        ("https://h.example/%2", "the path after the host"),
        ("https://h.example/a?x=1", "the path after the host"),
        (f"{ENDPOINT}?x=1", "the path after the host"),
        (f"{ENDPOINT}#x", "the path after the host"),
    ],
)
def test_odd_endpoint_is_refused(url: str, why: str) -> None:
    """An address with other parts, or one that would send data unencrypted, is refused."""
    seen = refusal(R2_ENDPOINT_URL=url)
    assert "R2_ENDPOINT_URL" in seen
    assert why in seen


@pytest.mark.row(126)
@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@host",
        "https://hunter2@host",
        "https://:hunter2@host",
        "https://user:hunter2@host:99999",
        "https://user:hunter2",
        "user:hunter2@host",
        "http://user:hunter2@localhost",
    ],
)
def test_user_and_password_in_the_endpoint_are_never_shown(url: str) -> None:
    """They are refused, since no request would use them, and the message does not show them."""
    assert "hunter2" not in refusal(R2_ENDPOINT_URL=url)


@pytest.mark.row(127)
@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper", "under_score", "-a-b", "a/b", "a.b-", "bücket", "..", "a\\b"]
)
def test_bad_bucket_name_is_refused(name: str) -> None:
    """No bucket of R2 can have such a name."""
    assert "R2_BUCKET" in refusal(R2_BUCKET=name)


@pytest.mark.row(127)
@pytest.mark.parametrize("name", ["a/b", "..", "a\nb", "a\u200bb"])
def test_bucket_name_that_no_path_can_hold_is_refused(name: str) -> None:
    """At whatever host."""
    assert "R2_BUCKET" in refusal(R2_BUCKET=name, R2_ENDPOINT_URL="https://h.example")


@pytest.mark.parametrize("region", ["auto", "us-east-1", "eu", "EEUR", "a"])
def test_region_is_kept(region: str) -> None:
    """Any valid name of a region is accepted."""
    assert settings(R2_REGION=region).region == region


@pytest.mark.parametrize("region", ["eu/west", "-a", "a-", "1", "a.b", "a" * 64])
def test_bad_region_is_refused(region: str) -> None:
    """The S3 client would refuse it later, with an error of its own."""
    assert "R2_REGION" in refusal(R2_REGION=region)


SPELLINGS = [
    ("https://Account.r2.cloudflarestorage.com", "https://account.r2.cloudflarestorage.com:443/"),
    ("https://account.r2.cloudflarestorage.com.", "http://account.r2.cloudflarestorage.com"),
    ("https://s3.eu-west-1.amazonaws.com", "https://s3.dualstack.us-east-1.amazonaws.com"),
    ("http://localhost:9000", "http://127.0.0.1:9000"),
]
APART = [
    ("https://account.r2.cloudflarestorage.com", "https://account.eu.r2.cloudflarestorage.com"),
    ("https://one.example", "https://one.example:8443"),
    ("https://one.example/a", "https://one.example/b"),
    ("https://s3.eu-west-1.amazonaws.com", "https://s3.cn-north-1.amazonaws.com.cn"),
    ("http://127.0.0.1:9000", "http://127.0.0.1:9001"),
    # Machines of AWS's customers, whose servers have buckets of their own.
    ("https://ec2-1.compute-1.amazonaws.com", "https://ec2-2.compute-1.amazonaws.com"),
]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_bucket_is_the_same_however_its_endpoint_is_spelled(one: str, other: str) -> None:
    """So a change of the spelling makes no file doubtful."""
    assert bucket_identity(one, "sensors") == bucket_identity(other, "sensors")
    assert bucket_identity(one, "sensors") != bucket_identity(other, "others")


@pytest.mark.parametrize(("one", "other"), APART)
def test_buckets_of_other_endpoints_are_others(one: str, other: str) -> None:
    """Even if they have the same name."""
    assert bucket_identity(one, "sensors") != bucket_identity(other, "sensors")


@pytest.mark.row(145)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("R2_BUCKET", '"sensors"'),
        ("R2_SECRET_ACCESS_KEY", " 'the-secret' "),
        ("R2_ENDPOINT_URL", '"https://r2.example"'),
        ("ASYNCSYNC_INCLUDE", '"*.csv" "*.json"'),
    ],
)
def test_quotes_around_a_value_are_named(name: str, value: str) -> None:
    """As `docker run --env-file` keeps them; they would be a part of the name or of the secret."""
    message = refusal(**{name: value})
    assert message.partition(": ")[2].startswith(
        f"{name}: there are quotes around its value; remove them"
    )
    assert "the-secret" not in message


def test_quotes_around_what_is_no_setting_are_nobodys_business() -> None:
    """An env file may be shared with other programs."""
    env_file("GREETING='\"hello\"'\n")
    assert load(environ=REQUIRED)[0].bucket == REQUIRED["R2_BUCKET"]

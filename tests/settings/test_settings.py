"""Settings: where they come from, which one wins, and what is refused without being shown."""

import logging
import os
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.errors import ConfigError
from asyncsync.model import Checks, Settings
from asyncsync.settings import Options, Validate, load, parse_option

ENDPOINT = "https://account.r2.cloudflarestorage.com"
SECRET = "s3cr3t/+="
REQUIRED = {
    "R2_ACCESS_KEY_ID": "AKID",
    "R2_SECRET_ACCESS_KEY": SECRET,
    "R2_ENDPOINT_URL": ENDPOINT,
    "R2_BUCKET": "sensor-data",
}


def settings(**changed: str) -> Settings:
    """Return the settings of an environment with these variables changed."""
    return load(environ={**REQUIRED, **changed})[0]


def options(environ: Mapping[str, str] | None = None, **given: object) -> Options:
    return load(environ={**REQUIRED, **(environ or {})}, given=given)[1]


def refusal(**changed: str) -> str:
    """Return all that a user could see of the refusal of an environment, its causes included."""
    with pytest.raises(ConfigError) as caught:
        settings(**changed)
    return "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__cause__)


def env_file(text: str | bytes, path: str = ".env") -> Path:
    file = Path(path)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


# where they come from


def test_environment_is_enough() -> None:
    """Without an env file, the four variables make the settings; the rest has defaults."""
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
    """Without a given environment the process's own counts."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    assert load()[0] == settings()


def test_argument_beats_environment_beats_file() -> None:
    """The first that is set wins, each option by itself; None is not set."""
    env_file("ASYNCSYNC_DEST=file\nASYNCSYNC_WORKERS=1\nASYNCSYNC_ATTEMPTS=1\nR2_BUCKET=file\n")
    environ = {"ASYNCSYNC_WORKERS": "2", "ASYNCSYNC_ATTEMPTS": "2"}
    found = options(environ, attempts=3, workers=None)
    assert (found.dest, found.workers, found.attempts) == (Path("file"), 2, 3)
    assert settings().bucket == "sensor-data"


def test_named_env_file_is_the_only_one() -> None:
    """A named file is read in place of `./.env`."""
    env_file("R2_REGION=wrong\n")
    named = env_file("R2_SESSION_TOKEN=token\n", "other.env")
    found, _ = load(named, REQUIRED)
    assert (found.region, found.session_token) == ("auto", "token")


def test_named_env_file_must_exist() -> None:
    """A name that leads nowhere is a mistake, unlike a missing `./.env`."""
    with pytest.raises(ConfigError, match=r"nowhere\.env: no such file"):
        load(Path("nowhere.env"), REQUIRED)


@pytest.mark.parametrize("name", [".env", "named.env"])
def test_env_file_is_no_pipe(name: str) -> None:
    """It may be read again; nor is one passed over in silence."""
    os.mkfifo(name)
    with pytest.raises(ConfigError, match=rf"{name}: is a pipe or a device; an env file may be"):
        load(None if name == ".env" else Path(name), REQUIRED)


def test_named_env_file_is_no_folder() -> None:
    """What is called `.env` may be one: some name a virtual environment so."""
    Path(".env").mkdir()
    assert load(None, REQUIRED)[0] == settings()
    with pytest.raises(ConfigError, match=r"^\.env: is a folder, and not an env file"):
        load(Path(".env"), REQUIRED)


@pytest.mark.row(125)
def test_env_file_of_a_parent_folder_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies above the working folder is somebody else's."""
    env_file("R2_BUCKET=from-above\n")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    with pytest.raises(ConfigError, match="R2_BUCKET"):
        load(environ={name: REQUIRED[name] for name in REQUIRED if name != "R2_BUCKET"})


def test_env_file_is_not_copied_into_the_environment() -> None:
    """Programs that the process starts inherit no secret of the file's."""
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
    """Byte order mark, line ends, quotes, `export` and comments fall away; nothing is inserted."""
    env_file(line)
    environ = {name: REQUIRED[name] for name in REQUIRED if name != "R2_SECRET_ACCESS_KEY"}
    assert load(environ=environ)[0].secret_access_key == expected


@pytest.mark.row(124)
@pytest.mark.parametrize(
    ("mode", "uid", "hint"),
    [
        (0o600, None, ""),
        (0o400, None, ""),
        (0o600, 0, ""),
        (0o640, None, "chmod 600 .env"),
        (0o604, None, "chmod 600 .env"),
        (0o620, None, "chmod 600 .env"),
        (0o600, 54321, "another user"),
    ],
)
def test_env_file_that_others_reach_is_warned_of_or_refused(
    mode: int,
    uid: int | None,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A warning with a hint, an error if it is to be strict; never with a value of the file."""
    env_file(f"R2_SECRET_ACCESS_KEY={SECRET}\n").chmod(mode)
    found = os.stat(".env")
    if uid is not None:
        changed = os.stat_result((*found[:4], uid, *found[5:]))
        monkeypatch.setattr(Path, "stat", lambda path, **options: changed)
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


def test_env_file_that_is_not_read_is_not_judged(caplog: pytest.LogCaptureFixture) -> None:
    """Another file is named, or there is none."""
    env_file("", "other.env").chmod(0o600)
    load(environ=REQUIRED, given={"strict": True})
    env_file("").chmod(0o644)
    load(Path("other.env"), REQUIRED, {"strict": True})
    assert not caplog.records


def test_env_file_that_is_no_text_is_refused() -> None:
    """A file in another encoding is named, its bytes are not shown."""
    env_file(b"R2_SECRET_ACCESS_KEY=\xff\xfe\n")
    with pytest.raises(ConfigError, match=r"\.env: cannot be read as text"):
        load(environ=REQUIRED)


def test_line_that_is_no_setting_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A broken line may hold a secret: a log says its number at most."""
    env_file(f'R2_BUCKET="{SECRET}\n')
    with caplog.at_level(logging.DEBUG):
        load(environ=REQUIRED)
    assert SECRET not in caplog.text


# what is refused


@pytest.mark.row(122)
@pytest.mark.parametrize("has_file", [False, True])
def test_missing_env_file_is_told_when_something_is_not_set(has_file: bool) -> None:
    """Whoever stands in the wrong folder learns it."""
    if has_file:
        env_file("R2_BUCKET=sensor-data\n")
    with pytest.raises(ConfigError, match=r"or in \.env") as caught:
        load(environ={})
    assert ("there is none here" in str(caught.value)) != has_file


@pytest.mark.row(122)
@pytest.mark.parametrize("value", [None, "", "  "])
@pytest.mark.parametrize("name", list(REQUIRED))
def test_missing_variable_is_named(name: str, value: str | None) -> None:
    """Missing and empty are the same; the message names the variable and no value."""
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
    """Nobody has to start the program four times to learn what it needs."""
    with pytest.raises(ConfigError) as caught:
        load(environ={})
    assert all(name in str(caught.value) for name in REQUIRED)


@pytest.mark.row(123)
@pytest.mark.parametrize("name", [*REQUIRED, "R2_SESSION_TOKEN", "R2_REGION"])
@pytest.mark.parametrize("stray", [" ", "\r", "\n", "\t", "\x1b", "\x00", "\u201c", "é", "\u200b"])
def test_stray_character_is_reported_without_the_value(name: str, stray: str) -> None:
    """What no credential holds was caught on the way: the variable is named."""
    seen = refusal(**{name: f"top{stray}secret"})
    assert name in seen
    assert "secret" not in seen


def test_white_space_around_a_value_falls_away() -> None:
    """A line end that came along with a copied secret does no harm."""
    assert settings(R2_SECRET_ACCESS_KEY=f" {SECRET}\r\n").secret_access_key == SECRET


@given(st.text(min_size=1))
def test_no_value_of_a_credential_is_ever_shown(value: str) -> None:
    """Neither the refusal nor the settings' own text holds a secret."""
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
        ("http://localhost:8333", "http://localhost:8333"),
        ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("http://[::1]:8333", "http://[::1]:8333"),
    ],
)
def test_endpoint_is_scheme_host_and_port(url: str, expected: str) -> None:
    """The bucket's name that the dashboard puts behind the address is taken off."""
    assert settings(R2_ENDPOINT_URL=url).endpoint_url == expected


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
        ("https://my_host", "no host has such a name"),
        ("https://host..example", "no host has such a name"),
        ("https://-host", "no host has such a name"),
        ("https://host:port", "not a URL"),
        ("https://host:65536", "not a URL"),
        ("https://[::1", "not a URL"),
        ("http://host", "https://"),
        ("http://10.0.0.1", "https://"),
        ("http://localhost.example", "https://"),
        ("http://127.0.0.1.example", "https://"),
        (f"{ENDPOINT}/another-bucket", "path behind the host"),
        (f"{ENDPOINT}/sensor-data/1hz", "path behind the host"),
        (f"{ENDPOINT}?x=1", "path behind the host"),
        (f"{ENDPOINT}#x", "path behind the host"),
    ],
)
def test_odd_endpoint_is_refused(url: str, why: str) -> None:
    """What is no plain address, or would send data in the open, is refused before any request."""
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
    """They are refused, since no request would use them, and the message holds none of them."""
    assert "hunter2" not in refusal(R2_ENDPOINT_URL=url)


@pytest.mark.row(127)
@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper", "under_score", "-a-b", "a/b", "a.b-", "bücket", "..", "a\\b"]
)
def test_bad_bucket_name_is_refused(name: str) -> None:
    """A name that no bucket can have would only give odd requests."""
    assert "R2_BUCKET" in refusal(R2_BUCKET=name)


@pytest.mark.parametrize("region", ["auto", "us-east-1", "eu", "EEUR", "a"])
def test_region_is_kept(region: str) -> None:
    """Any name of a region is passed on."""
    assert settings(R2_REGION=region).region == region


@pytest.mark.parametrize("region", ["eu/west", "-a", "a-", "1", "a.b", "a" * 64])
def test_bad_region_is_refused(region: str) -> None:
    """What the client would refuse later with an error of its own is refused here."""
    assert "R2_REGION" in refusal(R2_REGION=region)


# options


def test_options_of_the_environment_are_parsed() -> None:
    """Every option has a variable of its name."""
    environ = {
        "ASYNCSYNC_DEST": "~/data",
        "ASYNCSYNC_INCLUDE": "*.parquet  *.json",
        "ASYNCSYNC_EXCLUDE": "tmp/*",
        "ASYNCSYNC_WORKERS": "16",
        "ASYNCSYNC_MAX_WORKERS": " 64 ",
        "ASYNCSYNC_VALIDATE": "response",
        "ASYNCSYNC_PARQUET_CHECK": "No",
        "ASYNCSYNC_ATTEMPTS": "3",
        "ASYNCSYNC_SPACE_CHECK": "NO",
        "ASYNCSYNC_DURABLE": "yes",
        "ASYNCSYNC_LIMIT_RATE": "20M",
        "ASYNCSYNC_SINCE": "auto",
        "ASYNCSYNC_STRICT": "yes",
    }
    assert options(environ) == Options(
        dest=Path.home() / "data",
        include=("*.parquet", "*.json"),
        exclude=("tmp/*",),
        workers=16,
        max_workers=64,
        validate=Validate.RESPONSE,
        parquet_check=False,
        attempts=3,
        space_check=False,
        durable=True,
        limit_rate=20 << 20,
        since="auto",
        strict=True,
    )


@pytest.mark.parametrize(
    ("how", "checks"),
    [
        ("content", Checks(head=True, content=True)),
        ("head", Checks(head=True, content=False)),
        ("response", Checks(head=False, content=False)),
    ],
)
def test_validation_is_a_set_of_checks(how: str, checks: Checks) -> None:
    """Each way proves less than the one before; the Parquet check does not depend on it."""
    assert options(validate=how).checks == checks
    assert options(validate=how, parquet_check=False).checks == replace(checks, parquet=False)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1024", 1024),
        ("500k", 500 << 10),
        ("500K", 500 << 10),
        ("20M", 20 << 20),
        ("1.5g", 3 << 29),
        ("off", None),
    ],
)
def test_rate_is_a_number_with_a_unit(text: str, rate: int | None) -> None:
    """Powers of 1024, as those of curl, wget and rclone."""
    assert options({"ASYNCSYNC_LIMIT_RATE": text}).limit_rate == rate


def test_auto_workers_are_none() -> None:
    """`auto` in the environment is a value like any other."""
    assert options({"ASYNCSYNC_WORKERS": "auto"}).workers is None


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("workers", "auto", None),
        ("workers", "8", 8),
        ("limit_rate", "20M", 20 << 20),
        ("limit_rate", 20e6, 20_000_000),
        ("limit_rate", "off", None),
        ("since", "off", None),
        ("durable", "no", False),
    ],
)
def test_callers_may_use_the_words_of_the_command_line(
    name: str, value: object, meant: object
) -> None:
    """So that they can say against the environment what they could say by leaving it out."""
    environ = {"ASYNCSYNC_WORKERS": "4", "ASYNCSYNC_LIMIT_RATE": "1M", "ASYNCSYNC_SINCE": "auto"}
    options = load(environ={**REQUIRED, **environ}, given={name: value})[1]
    assert getattr(options, name) == meant


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", "many"),
        ("workers", 1.5),
        ("workers", 0),
        ("max_workers", 1025),
        ("attempts", 0),
        ("limit_rate", []),
        ("limit_rate", 1),
        ("limit_rate", "1"),
        ("since", "now"),
        ("deep", "so"),
        ("dest", "/"),
    ],
)
def test_caller_who_means_nothing_is_told(name: str, value: object) -> None:
    """With the argument's name, before any request."""
    with pytest.raises(ConfigError, match=f"^{name}: .* is "):
        load(environ=REQUIRED, given={name: value})


@pytest.mark.row(127)
@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("WORKERS", "0", "between 1 and 1024"),
        ("WORKERS", "-1", "between 1 and 1024"),
        ("WORKERS", "1000000000", "between 1 and 1024"),
        ("WORKERS", "many", "not a whole number or auto"),
        ("MAX_WORKERS", "0", "between 1 and 1024"),
        ("MAX_WORKERS", "auto", "not a whole number"),
        ("MAX_WORKERS", "1.5", "not a whole number"),
        ("ATTEMPTS", "0", "less than 1"),
        ("SINCE", "yesterday", "neither auto nor off"),
        ("LIMIT_RATE", "0", "less than 1024 bytes/s"),
        ("LIMIT_RATE", "1023", "less than 1024 bytes/s"),
        ("LIMIT_RATE", "-5M", "neither off nor a rate"),
        ("LIMIT_RATE", "20MB", "neither off nor a rate"),
        ("LIMIT_RATE", "fast", "neither off nor a rate"),
        ("LIMIT_RATE", "9" * 400, "neither off nor a rate"),
        ("STRICT", "perhaps", "neither yes nor no"),
        ("VALIDATE", "etag", "not content or head or response"),
        ("PARQUET_CHECK", "maybe", "neither yes nor no"),
        ("DEST", "/", "root"),
        ("DEST", "//", "root"),
        ("DEST", "/usr/..", "root"),
        ("DEST", "~nobody-of-that-name/data", "home folder"),
    ],
)
def test_bad_option_is_refused(name: str, text: str, why: str) -> None:
    """The message names the option and says what would be right."""
    with pytest.raises(ConfigError, match=why) as caught:
        options({f"ASYNCSYNC_{name}": text})
    assert str(caught.value).startswith(f"ASYNCSYNC_{name}: ")


@pytest.mark.row(127)
@pytest.mark.parametrize("text", ["", "  "])
def test_empty_destination_is_refused(text: str) -> None:
    """An unset shell variable must not sync into the working folder."""
    with pytest.raises(ValueError, match="empty"):
        parse_option("dest", text)
    with pytest.raises(ConfigError, match="empty"):
        options(dest=text)


@pytest.mark.parametrize("name", [".asyncsync", "data/.asyncsync/parts"])
def test_state_of_a_destination_is_no_destination(name: str) -> None:
    """Whoever clears the state away would take the data with it."""
    with pytest.raises(ConfigError, match=r"^dest: \S+ is in the state of a destination"):
        options(dest=name)


def test_folder_below_one_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole path is as good as ever."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match=r"^dest: the current folder is gone"):
        options()
    assert options(dest=tmp_path).dest == tmp_path


def test_bad_validation_given_by_a_caller_is_a_config_error() -> None:
    """The Python API refuses what the command line would."""
    with pytest.raises(ConfigError, match="not content or head or response"):
        options(validate="etag")


def test_callers_may_give_plain_values() -> None:
    """A str is a path, a list is a tuple, and one glob needs no list."""
    found = options(dest="data", include=["*.json", "*.csv"], exclude="tmp/*", validate="response")
    assert found == Options(
        Path("data"), ("*.json", "*.csv"), ("tmp/*",), validate=Validate.RESPONSE
    )


def test_no_glob_at_all_is_refused() -> None:
    """Nothing would count, or everything: nobody can mean it."""
    with pytest.raises(ConfigError, match="include"):
        options(include=[])


@pytest.mark.parametrize("name", ["include", "exclude"])
@pytest.mark.parametrize("blank", ["", " "])
def test_blank_glob_is_refused(name: str, blank: str) -> None:
    """An unset shell variable must not make a job that has nothing to do for ever."""
    with pytest.raises(ConfigError, match=f"^{name}: a blank glob matches no key"):
        load(environ=REQUIRED, given={name: ["*", blank]})
    arguments = parse_arguments(["--" + name, blank])
    with pytest.raises(ConfigError, match=f"^--{name}: a blank glob matches no key"):
        given_options(arguments)


def test_settings_can_be_read_again() -> None:
    """From the same file and environment, as they are by then."""
    path = env_file("".join(f"{name}={value}\n" for name, value in REQUIRED.items()))
    found = load(path, environ={})[0]
    path.write_text(path.read_text().replace("AKID", "NEWID"))
    assert found.reload is not None
    assert found.reload().access_key_id == "NEWID"
    path.unlink()
    with pytest.raises(ConfigError):
        found.reload()

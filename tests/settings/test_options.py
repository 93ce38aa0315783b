"""Options: how their values are written, and which values are refused."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncsync.cli.arguments import given_options, parse_arguments
from asyncsync.errors import ConfigError
from asyncsync.model import Addressing, Checks
from asyncsync.settings import Options, Validate, load, parse_option
from asyncsync.shards import Shard
from tests.rigs.environment import REQUIRED, options


def test_options_of_the_environment_are_parsed() -> None:
    """Each option has a variable, named like the option."""
    environ = {
        "ASYNCSYNC_DEST": "~/data",
        "ASYNCSYNC_INCLUDE": "*.parquet  *.json",
        "ASYNCSYNC_EXCLUDE": "tmp/*",
        "ASYNCSYNC_WORKERS": "16",
        "ASYNCSYNC_MAX_WORKERS": " 64 ",
        "ASYNCSYNC_VALIDATE": "response",
        "ASYNCSYNC_PARQUET_CHECK": "No",
        "ASYNCSYNC_ATTEMPTS": "3",
        "ASYNCSYNC_READ_TIMEOUT": "90",
        "ASYNCSYNC_SPACE_CHECK": "NO",
        "ASYNCSYNC_DURABLE": "yes",
        "ASYNCSYNC_LIMIT_RATE": "20M",
        "ASYNCSYNC_MAX_DURATION": "1h30m",
        "ASYNCSYNC_INCREMENTAL": "yes",
        "ASYNCSYNC_NEWER_THAN": "2026-10-01",
        "ASYNCSYNC_OLDER_THAN": "2026-11-01T06:30+01:00",
        "ASYNCSYNC_SINCE": "2026-10-02",
        "ASYNCSYNC_MIN_SIZE": "1",
        "ASYNCSYNC_MAX_SIZE": "20 MB",
        "ASYNCSYNC_STRICT": "yes",
        "ASYNCSYNC_SIGN_REQUEST": "yes",
        "ASYNCSYNC_REQUEST_PAYER": "yes",
        "ASYNCSYNC_ADDRESSING": "path",
        "ASYNCSYNC_ALLOW_HTTP": "yes",
        "ASYNCSYNC_SHARD": "2/8",
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
        read_timeout=90,
        space_check=False,
        durable=True,
        limit_rate=20 << 20,
        max_duration=5400,
        shard=Shard(2, 8),
        incremental=True,
        newer_than=datetime(2026, 10, 1, tzinfo=UTC),
        older_than=datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        since=datetime(2026, 10, 2, tzinfo=UTC),
        min_size=1,
        max_size=20_000_000,
        strict=True,
        request_payer=True,
        addressing=Addressing.PATH,
        allow_http=True,
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
    """Each value checks less than the one before; the Parquet check is independent of it."""
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
        ("20MiB/s", 20 << 20),
        ("20MB/s", 20_000_000),
        ("20 M/s", 20 << 20),
        ("20 MB/s", 20_000_000),
        ("20mb", 20_000_000),
        ("2048B/s", 2048),
        ("off", None),
    ],
)
def test_rate_is_a_number_with_a_unit(text: str, rate: int | None) -> None:
    """Or a size in any form, with or without `/s`."""
    assert options({"ASYNCSYNC_LIMIT_RATE": text}).limit_rate == rate


def test_auto_workers_are_none() -> None:
    """`auto` may also be set in the environment."""
    assert options({"ASYNCSYNC_WORKERS": "auto"}).workers is None


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("workers", "auto", None),
        ("workers", "8", 8),
        ("limit_rate", "20M", 20 << 20),
        ("limit_rate", 20e6, 20_000_000),
        ("limit_rate", "off", None),
        ("since", "off", None),
        ("newer_than", "off", None),
        ("max_size", 2e6, 2_000_000),
        ("durable", "no", False),
        ("sign_request", "no", False),
        ("request_payer", "requester", True),
        ("addressing", "virtual", Addressing.VIRTUAL),
        ("max_delete", "0.5%", "0.5%"),
        ("max_delete", "100%", "100%"),
        ("max_delete", 12, "12"),
    ],
)
def test_callers_may_pass_values_as_on_the_command_line(
    name: str, value: object, expected: object
) -> None:
    """With `auto` or `off`, they can override the environment with the default."""
    environ = {"ASYNCSYNC_WORKERS": "4", "ASYNCSYNC_LIMIT_RATE": "1M", "ASYNCSYNC_SINCE": "auto"}
    options = load(environ={**REQUIRED, **environ}, given={name: value})[1]
    assert getattr(options, name) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("workers", "many"),
        ("workers", 1.5),
        ("workers", 0),
        ("max_workers", 1025),
        ("attempts", 0),
        ("read_timeout", 0),
        ("read_timeout", 121),
        ("read_timeout", "half an hour"),
        ("limit_rate", []),
        ("limit_rate", 1),
        ("limit_rate", "1"),
        ("newer_than", "now"),
        ("older_than", 30),
        ("newer_than", datetime(2026, 11, 1)),  # noqa: DTZ001 - that is what is refused
        ("newer_than", timedelta(days=-1)),
        ("newer_than", timedelta(days=900_000)),
        ("min_size", -1),
        ("max_size", "big"),
        ("max_delete", "-1"),
        ("max_delete", "101%"),
        ("max_delete", "%"),
        ("max_delete", "1.5"),
        ("max_delete", 1.5),
        ("max_delete", []),
        ("deep", "so"),
        ("addressing", "host"),
        ("addressing", 1),
        ("request_payer", "somebody"),
        ("dest", "/"),
    ],
)
def test_invalid_value_of_a_caller_is_refused(name: str, value: object) -> None:
    """The error names the argument."""
    with pytest.raises(ConfigError, match=f"^{name}: .* is "):
        load(environ=REQUIRED, given={name: value})


@pytest.mark.row(127)
@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("WORKERS", "0", "between 1 and 1024"),
        ("WORKERS", "-1", "between 1 and 1024"),
        ("WORKERS", "1000000000", "between 1 and 1024"),
        ("WORKERS", "many", "neither a whole number nor auto"),
        ("MAX_WORKERS", "0", "between 1 and 1024"),
        ("MAX_WORKERS", "auto", "not a whole number"),
        ("MAX_WORKERS", "1.5", "not a whole number"),
        ("ATTEMPTS", "0", "less than 1"),
        ("SINCE", "yesterday", "neither off, an age .* nor a date"),
        ("NEWER_THAN", "30", "a number without a unit: write 30d for days"),
        ("OLDER_THAN", "9999999y", "longer ago than there are dates"),
        ("MAX_SIZE", "20X", "neither off nor a size"),
        ("LIMIT_RATE", "0", "less than 1024 bytes/s"),
        ("LIMIT_RATE", "1023", "less than 1024 bytes/s"),
        ("LIMIT_RATE", "-5M", "neither off nor a rate"),
        ("LIMIT_RATE", "20Mbit/s", "neither off nor a rate"),
        ("LIMIT_RATE", "20Mi", "neither off nor a rate"),
        ("LIMIT_RATE", "20M/h", "neither off nor a rate"),
        ("LIMIT_RATE", "fast", "neither off nor a rate"),
        ("LIMIT_RATE", "9" * 400, "neither off nor a rate"),
        ("STRICT", "perhaps", "neither yes nor no"),
        ("VALIDATE", "etag", "not one of content, head, response"),
        ("PARQUET_CHECK", "maybe", "neither yes nor no"),
        ("DEST", "/", "root"),
        ("DEST", "//", "root"),
        ("DEST", "/usr/..", "root"),
        ("DEST", "~nobody-of-that-name/data", "home folder"),
    ],
)
def test_bad_option_is_refused(name: str, text: str, why: str) -> None:
    """The message names the variable, and says which values are valid."""
    with pytest.raises(ConfigError, match=why) as caught:
        options({f"ASYNCSYNC_{name}": text})
    assert str(caught.value).startswith(f"ASYNCSYNC_{name}: ")


def test_deletions_need_a_whole_listing() -> None:
    """Wherever it is said that only a part is listed."""
    with pytest.raises(ConfigError, match=r"^delete: --incremental does not list everything"):
        options({"ASYNCSYNC_INCREMENTAL": "yes"}, delete=True)


@pytest.mark.row(127)
@pytest.mark.parametrize("text", ["", "  "])
def test_empty_destination_is_refused(text: str) -> None:
    """An unset shell variable must not make the working folder the destination."""
    with pytest.raises(ValueError, match="empty"):
        parse_option("dest", text)
    with pytest.raises(ConfigError, match="empty"):
        options(dest=text)


@pytest.mark.parametrize("name", [".asyncsync", "data/.asyncsync/parts"])
def test_state_folder_is_refused_as_destination(name: str) -> None:
    """Removing the state folder would remove the data with it."""
    with pytest.raises(ConfigError, match=r"^dest: \S+ is in the state folder of a destination"):
        options(dest=name)


def test_relative_destination_is_refused_when_the_working_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absolute path still works."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(ConfigError, match=r"^dest: the current folder no longer exists"):
        options()
    assert options(dest=tmp_path).dest == tmp_path


def test_bad_validation_given_by_a_caller_is_a_config_error() -> None:
    """The Python API refuses what the command line refuses."""
    with pytest.raises(ConfigError, match="not one of content, head, response"):
        options(validate="etag")


def test_callers_may_pass_plain_values() -> None:
    """A str becomes a path, a list a tuple, and one glob needs no list."""
    found = options(dest="data", include=["*.json", "*.csv"], exclude="tmp/*", validate="response")
    assert found == Options(
        Path("data"), ("*.json", "*.csv"), ("tmp/*",), validate=Validate.RESPONSE
    )


def test_empty_include_is_refused() -> None:
    """It could mean that no key is selected, or all."""
    with pytest.raises(ConfigError, match="include"):
        options(include=[])


@pytest.mark.parametrize("name", ["include", "exclude"])
@pytest.mark.parametrize("blank", ["", " "])
def test_blank_glob_is_refused(name: str, blank: str) -> None:
    """With a glob from an unset shell variable, a job would never find anything to do."""
    with pytest.raises(ConfigError, match=f"^{name}: a blank glob matches no key"):
        load(environ=REQUIRED, given={name: ["*", blank]})
    arguments = parse_arguments(["--" + name, blank])
    with pytest.raises(ConfigError, match=f"^--{name}: a blank glob matches no key"):
        given_options(arguments)


def test_nobody_pays_for_requests_without_a_signature() -> None:
    """The two options contradict each other, so that no request is sent."""
    with pytest.raises(ConfigError, match="either --request-payer or --no-sign-request"):
        options(request_payer=True, sign_request=False)

"""Where from, as other tools write it: `s3://bucket/prefix`."""

import re

import pytest

from asyncsync.errors import ConfigError
from asyncsync.settings import load, origins, split_source, stripped_prefix
from tests.rigs.environment import ENDPOINT, REQUIRED


@pytest.mark.parametrize(
    ("given", "bucket", "prefixes"),
    [
        ([], "", []),
        (["1hz/", "b"], "", ["1hz/", "b"]),
        (["sensors/1hz/"], "", ["sensors/1hz/"]),
        (["s3://sensors"], "sensors", []),
        (["s3://sensors/"], "sensors", []),
        (["s3://sensors/1hz/2026/"], "sensors", ["1hz/2026/"]),
        (["s3://sensors//odd"], "sensors", ["/odd"]),
    ],
)
def test_bucket_and_prefix_are_told_apart(
    given: list[str], bucket: str, prefixes: list[str]
) -> None:
    """The first slash behind the bucket is no part of the prefix."""
    assert split_source(given) == (bucket, prefixes)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["s3://"], "s3://: names no bucket"),
        (["s3:///1hz/"], "s3:///1hz/: names no bucket"),
        (["s3://a/", "s3://b/"], "s3://a/: goes without other prefixes"),
        (["1hz/", "s3://b/"], "s3://b/: goes without other prefixes"),
    ],
)
def test_source_that_cannot_be_meant_is_refused(given: list[str], says: str) -> None:
    """A run reads from one bucket."""
    with pytest.raises(ConfigError, match=f"^{re.escape(says)}"):
        split_source(given)


@pytest.mark.parametrize(
    ("prefixes", "stripped"),
    [([], ""), ([""], ""), (["1hz/"], "1hz/"), (["1hz/", "1hz/"], "1hz/"), (["/"], "/")],
)
def test_one_whole_folder_can_be_stripped(prefixes: list[str], stripped: str) -> None:
    """Of the whole bucket, nothing is left out."""
    assert stripped_prefix(prefixes) == stripped


@pytest.mark.parametrize(
    ("prefixes", "says"),
    [
        (["1hz"], "--strip-prefix: 1hz is not a whole folder; write 1hz/"),
        (["a/", "b/"], "--strip-prefix: goes with one prefix"),
        (["a/", "a/b/"], "--strip-prefix: goes with one prefix"),
        (["", "a/"], "--strip-prefix: goes with one prefix"),
    ],
)
def test_prefixes_that_cannot_be_stripped_are_refused(prefixes: list[str], says: str) -> None:
    """Two keys could have one path, or a name would lose its beginning."""
    with pytest.raises(ConfigError, match=f"^{re.escape(says)}"):
        stripped_prefix(prefixes)


def test_bucket_that_is_given_takes_the_place_of_the_variable() -> None:
    """R2_BUCKET need not be set, and settings that are read again keep the bucket."""
    without = {name: value for name, value in REQUIRED.items() if name != "R2_BUCKET"}
    for environ in (REQUIRED, without):
        found = load(environ=environ, given={"source": "other"})[0]
        assert found.bucket == "other"
        assert found.reload
        assert found.reload().bucket == "other"
        assert origins(environ=environ, given={"source": "other"}).places["R2_BUCKET"] == (
            "the argument"
        )


def test_endpoint_may_still_end_in_the_bucket_of_the_settings() -> None:
    """The dashboard shows it so, and the given bucket does not change that."""
    environ = {**REQUIRED, "R2_ENDPOINT_URL": f"{ENDPOINT}/{REQUIRED['R2_BUCKET']}"}
    found = load(environ=environ, given={"source": "other"})[0]
    assert (found.endpoint_url, found.bucket) == (ENDPOINT, "other")


def test_endpoint_that_is_given_may_end_in_the_bucket_that_is_given() -> None:
    """Whatever R2_BUCKET is: the two were written together."""
    host = "https://storage.example"
    given = {"source": "other", "endpoint_url": f"{host}/other"}
    found = load(environ=REQUIRED, given=given)[0]
    assert (found.endpoint_url, found.bucket) == (host, "other")


@pytest.mark.parametrize("bucket", ["UPPER", "b\x1b", "a"])
def test_given_bucket_that_is_none_is_named_as_it_was_given(bucket: str) -> None:
    """And not R2_BUCKET, which may be right."""
    with pytest.raises(ConfigError, match=r"^s3://\S+: ") as caught:
        load(environ=REQUIRED, given={"source": bucket})
    assert str(caught.value).isprintable()

"""Where from, as other tools write it: `s3://bucket/prefix` in the place of a prefix."""

from collections.abc import Sequence

from asyncsync.errors import ConfigError
from asyncsync.keys import SCHEME, shown


def split_source(prefixes: Sequence[str]) -> tuple[str, list[str]]:
    """Return the bucket that `s3://bucket/prefix` names, and the prefixes; "" if nothing names one.

    Raises:
        ConfigError: there is another prefix beside it, or it names no bucket.
    """
    named = [prefix for prefix in prefixes if prefix.startswith(SCHEME)]
    if not named:
        return "", list(prefixes)
    if len(prefixes) > 1:
        raise ConfigError(
            f"{shown(named[0])}: goes without other prefixes; run one after the other"
        )
    bucket, _, prefix = named[0].removeprefix(SCHEME).partition("/")
    if not bucket:
        raise ConfigError(f"{shown(named[0])}: names no bucket; write {SCHEME}BUCKET/PREFIX")
    return bucket, [prefix] if prefix else []


def stripped_prefix(prefixes: Sequence[str]) -> str:
    """Return the prefix that paths leave out with `strip_prefix`; "" for the whole bucket.

    Raises:
        ConfigError: there are several, or it ends within a name.
    """
    prefix, *others = dict.fromkeys(prefixes or [""])
    if others:
        raise ConfigError("--strip-prefix: goes with one prefix; run one after the other")
    if prefix and not prefix.endswith("/"):
        raise ConfigError(
            f"--strip-prefix: {shown(prefix)} is not a whole folder; write {shown(prefix)}/"
        )
    return prefix

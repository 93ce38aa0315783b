"""The keyword arguments of the Python API, as types; `help` and editors are told of them, too."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from inspect import Parameter, Signature
from pathlib import Path
from typing import Literal, TypedDict

from asyncsync.interfaces import Observer
from asyncsync.report import Plan


class Given(TypedDict, total=False):
    """The keyword arguments of all functions. Each is optional.

    An argument takes precedence over a named source (`named`), that over the environment
    (`R2_...`, `ASYNCSYNC_...`), and that over the env file. None means the same as no argument.

    Attributes:
        prefixes: Key prefixes to sync, as a sequence of str or one str; the whole bucket by
            default. `"s3://bucket/prefix/"` names a bucket as well, in the place of R2_BUCKET.
        dest: The local folder; `downloads` by default. Created if it is missing.
        include: Globs; a key must match one of them as a whole. `["*.parquet"]` by default.
        exclude: Globs; a key that matches one of them is left out. None by default.
        files_from: The keys to sync, as several str, or the path of a file that lists them,
            one a line; only these are looked up. Cannot be combined with globs. A key that is not
            in the bucket counts as skipped.
        newer_than: Leaves out objects that were modified before this: a datetime, a date, a
            timedelta that counts back from now, or a str such as `"30d"` or `"2026-11-01"` (in UTC
            unless it has an offset). None by default, as for the next four; `"off"` is none as
            well.
        older_than: Leaves out objects that were modified later.
        since: The same as `newer_than`.
        min_size: Leaves out objects of fewer bytes, a number or a str such as `"20M"`.
        max_size: Leaves out objects of more bytes.
        workers: How many requests for objects are in flight; `"auto"`, the default, adapts the
            number to the network.
        max_workers: The highest number that `"auto"` may choose; 256 by default.
        processes: How many other processes download, beside this one. `"auto"`, the default: one
            for each processor, at most 8 and as many as half of the free memory has room for, once
            this one is what the run waits for, and much is left; none before. 0 for none.
        compare: What shows that a file is up to date. `"time"`, the default: it has the object's
            size, and is not older. `"size"`: it has the object's size. `"hash"`: it has the
            object's size, and its bytes have the hash that the bucket tells; every such file is
            read, takes the object's time if it is the object, and is replaced if not.
        validate: What must agree before a file gets its final name. `"response"`: the headers of
            GET, with the listing. `"head"`: those of a HEAD request as well. `"content"`, the
            default: also the checksum of the bytes, if the answer to HEAD tells one, or their MD5,
            if the ETag has one.
        parquet_check: Whether files named `*.parquet` must begin and end like Parquet files; True
            by default.
        deep: Whether `verify` also reads the files to check their content; False by default.
        repair: Whether `verify` fetches again what is not in order; False by default.
        attempts: How often a request is tried before its object fails; 8 by default.
        read_timeout: Seconds without a byte after which a request is sent again; 30 by default.
            After each answer that did not begin in time, the next has twice as long, up to 120.
        space_check: Whether the run ends as soon as it finds more than fits on the disk; True by
            default.
        durable: Whether files are written to disk with fsync, to survive a power cut, before they
            count as downloaded; False by default.
        backup_dir: The folder that keeps what is replaced or deleted, under its path; none by
            default. On the destination's disk, and not in the destination unless `exclude` leaves
            it out.
        limit_rate: The highest download rate in bytes per second, as a number or a str such as
            `"20M"` (of 1024 times 1024) or `"20MB"` (of a million); `"off"` by default.
        max_duration: After how many seconds the run ends, even if something is left, as a number
            or a str such as `"2h"`; the next run goes on. What is left is in `Report.left`, and
            the observer is told. `"off"` by default; `plan` takes as long as it needs.
        incremental: Whether only keys are listed that sort after those of the last run, and all
            keys once a day; False by default. docs/tuning.md says what that misses.
        shard: Which part of the keys is synced, as `"2/8"`: the second of eight, which have no key
            in common and together have all. Those of one count may run at the same time, also on
            several machines; docs/shards.md says how. `"off"`, the default, syncs all keys.
        strip_prefix: Whether paths leave out the prefix, which must be the only one and end in
            `/`; False by default. All runs into a folder must leave out the same.
        odd_keys: What becomes of keys that are no path, such as `a//b`: `"skip"`, the default,
            names each as skipped; `"encode"` fetches them to encoded paths, such as `a/%~/b`.
        follow_links: Whether links to folders that lie in the destination stand for those folders,
            if the link and the folder are this user's or root's; False by default: what lies
            below a link fails.
        delete: Whether a sync deletes files here whose objects are gone, if it made them once and
            they are unchanged; False by default. docs/mirror.md says what keeps it from that.
        max_delete: How many files may be deleted; where it would be more, none is. A number, or a
            share of the selected files, `"10%"` by default.
        allow_empty: Whether files may be deleted where the bucket, or a prefix that was asked for,
            holds nothing that is selected; False by default.
        strict: Whether an env file that other users can read is an error; False, the default, only
            warns.
        sign_request: Whether requests are signed; True by default. Public buckets also answer
            requests that are not, for which no credentials are needed.
        request_payer: Whether requests say that their sender pays for them, as buckets demand whose
            owner does not; False by default.
        addressing: Where a request names the bucket: `"path"` behind the host, `"virtual"` in front
            of it, or `"auto"`, the default: in front of AWS's hosts, and behind all others.
        allow_http: Whether the endpoint may be `http://` on another machine, where others can read
            what is sent; False by default.
        env_file: The file with settings; `./.env` by default, if it exists. One that another user
            could have written, or put there, is an error.
        named: The name of a source in `asyncsync.toml`, which sets what no argument does.
        bucket: The bucket's name; that of `R2_BUCKET` by default. Where no `R2_...` is set, the
            other settings are AWS's: `AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `~/.aws` and so on.
        endpoint_url: The S3 endpoint; that of `R2_ENDPOINT_URL` by default, or of AWS's settings.
        region: The region; that of `R2_REGION` by default, or of AWS's settings.
        profile: A profile of `~/.aws`, where no `R2_...` is set; by default that of `AWS_PROFILE`.
        observer: Is notified of what happens; none by default. `asyncsync.Bars()` draws progress
            bars. An observer that is a context manager is open during the run.
    """

    prefixes: Sequence[str] | None
    dest: Path | str | None
    include: Sequence[str] | None
    exclude: Sequence[str] | None
    files_from: Path | str | Iterable[str] | None
    newer_than: date | timedelta | str | None
    older_than: date | timedelta | str | None
    since: date | timedelta | str | None
    min_size: float | str | None
    max_size: float | str | None
    workers: int | Literal["auto"] | None
    max_workers: int | None
    processes: int | Literal["auto"] | None
    compare: Literal["time", "size", "hash"] | None
    validate: Literal["content", "head", "response"] | None
    parquet_check: bool | None
    deep: bool | None
    repair: bool | None
    attempts: int | None
    read_timeout: int | None
    space_check: bool | None
    durable: bool | None
    backup_dir: Path | str | None
    limit_rate: float | str | None
    max_duration: float | str | None
    incremental: bool | None
    shard: str | None
    strip_prefix: bool | None
    odd_keys: Literal["skip", "encode"] | None
    follow_links: bool | None
    delete: bool | None
    max_delete: int | str | None
    allow_empty: bool | None
    strict: bool | None
    sign_request: bool | None
    request_payer: bool | Literal["requester"] | None
    addressing: Literal["auto", "path", "virtual"] | None
    allow_http: bool | None
    env_file: Path | str | None
    named: str | None
    bucket: str | None
    endpoint_url: str | None
    region: str | None
    profile: str | None
    observer: Observer | None


class GivenToSync(Given, total=False):
    """The keyword arguments of the functions that download: those of `Given`, a plan and a report.

    Attributes:
        plan: The result of `plan`, or the path of a file that `asyncsync plan --json` wrote. Only
            the planned objects are fetched, in the planned versions, and nothing is listed or
            deleted. Cannot be combined with what selects objects or decides about their paths,
            such as `prefixes`, `include`, `newer_than`, `strip_prefix` and `odd_keys`. A `Plan`
            syncs to its own destination unless `dest` is given. A file must have been made for the
            destination that is set, unless `dest` is given.
        report: A file to write what became of each object that was downloaded or failed: as JSON
            lines, CSV or Parquet, as its name ends: `.jsonl`, `.csv` or `.parquet`, which needs
            pyarrow. None by default. It cannot be one that the run may sync.
    """

    plan: Plan | Path | str | None
    report: Path | str | None


_ATTRIBUTE = re.compile(r"^    (?!dest:)\w+: .*\n(?: {5,}.*\n)*", re.MULTILINE)
"""One of a table's arguments; not `dest`, which each function describes among its own."""
_GIVEN = re.compile(r"^    \*\*given: .*\n(?: {5,}.*\n)*", re.MULTILINE)


def check_names(given: Given) -> None:
    """Refuse what is no argument, and name the one that was likely meant.

    Raises:
        TypeError: there is no such argument.
    """
    for name in sorted(given.keys() - Given.__annotations__.keys()):
        from difflib import get_close_matches  # mistakes are rare

        near = get_close_matches(name, Given.__annotations__, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise TypeError(f"no such argument: {name}{hint}")


def by_keyword(given: Given, source: str | None, dest: Path | str | None) -> Given:
    """Return the keyword arguments with those that were given by their place.

    Raises:
        TypeError: one is given twice, or the source is several.
    """
    if source is not None:
        if not isinstance(source, str):
            raise TypeError("source: is no str; give several prefixes as prefixes=[...]")
        if given.get("prefixes") is not None:
            raise TypeError("prefixes: given twice")
        given["prefixes"] = [source]
    if dest is not None:
        if given.get("dest") is not None:
            raise TypeError("dest: given twice")
        given["dest"] = dest
    return given


def describe(function: Callable[..., object], *tables: type) -> None:
    """Let `help`, editors and notebooks know the keyword arguments of a function.

    To Python they are all `**given`. So the function gets a signature that has them one by one, and
    what they mean comes into its docstring.

    Args:
        function: one that takes `**given`.
        tables: the types of its keyword arguments, each behind the one that it extends.
    """
    hints = tables[-1].__annotations__
    real = inspect.signature(function)
    *placed, _ = real.parameters.values()
    parameters = [
        each.replace(kind=Parameter.POSITIONAL_OR_KEYWORD) if each.name in hints else each
        for each in placed
    ]
    parameters += [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
        if name not in real.parameters
    ]
    signature = _Signature(parameters, return_annotation=real.return_annotation)
    vars(function)["__signature__"] = signature
    if function.__doc__:  # it has none where Python leaves them out
        described = [*map(_attributes, tables)]
        text = f"{inspect.cleandoc(function.__doc__)}\n"
        function.__doc__ = _GIVEN.sub(lambda _: "".join(described), text)


def _attributes(table: type) -> str:
    """Return what a table says of its arguments."""
    return "".join(_ATTRIBUTE.findall(f"{inspect.getdoc(table)}\n"))


class _Signature(Signature):
    """Has too many parameters for one line."""

    def __str__(self) -> str:
        lines = []
        before = -1
        for parameter in self.parameters.values():
            if before == Parameter.POSITIONAL_ONLY < parameter.kind:
                lines.append("/")
            if before < Parameter.KEYWORD_ONLY == parameter.kind:
                lines.append("*")
            lines.append(str(parameter))
            before = parameter.kind
        inside = "".join(f"    {line},\n" for line in lines)
        return f"(\n{inside}) -> {inspect.formatannotation(self.return_annotation)}"

"""The doctor's checks of the remote side, in the order in which a request meets their subjects.

Each returns what it has found. What is wrong it raises, as a run would, with the same errors and
hints. A check keeps in the `Visit` what later checks need.
"""

import re
import ssl
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import anyio

from asyncsync.compare import Hints, Selection
from asyncsync.concurrently import task_group
from asyncsync.errors import ConfigError, EncodedObjectError, HeadRefusedError, TransientError
from asyncsync.http import Dialer, HttpClient
from asyncsync.interfaces import Store, Urgent
from asyncsync.keys import shown
from asyncsync.listing import Paging
from asyncsync.model import RemoteObject, Settings
from asyncsync.pace import START, Pace
from asyncsync.report import Look, ok, skipped, warning
from asyncsync.secret import Secret
from asyncsync.services import R2_HOST, address_of, is_aws
from asyncsync.settings import (
    Options,
    exposure,
    keys_logged,
    origins,
    parse,
    stripped_prefix,
    unencrypted,
)
from asyncsync.threads import in_thread
from asyncsync.units import format_size

CONNECT_TIMEOUT = 10.0
ATTEMPTS = 2
"""Attempts for a request: fewer than in a run, since a person waits for the result."""
CLOCK_TOLERANCE = 60
"""Seconds of difference that are no reason for a warning; S3 refuses requests from 900 on."""
EXPIRES_SOON = 14 * 86400
"""Seconds of validity left below which a certificate gets a warning."""
READ_SIZE = 64 * 1024
"""Bytes that the check `read` fetches at most."""
HEADS, LISTS = 5, 3
"""Requests that are timed; the latency is their median."""
HIGH_LATENCY = 0.01
"""Seconds of a HEAD from which on waiting limits a run more than anything else."""
RANGE_SIZE = 2 * 1024 * 1024
"""Bytes that one request of the throughput measurement fetches at most."""
MIN_SIZE = 256 * 1024
"""Bytes below which an object is too small to measure throughput."""
MEASURE_SECONDS = 1.0
CONCURRENT_REQUESTS = 8
SPEED_UP = 1.5
"""How much faster several requests at once must be for more of them to help."""

_R2_SHAPES = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}")
"""Of an access key ID, and of its secret."""


class Visit:
    """The bucket under examination, and what the checks have found out about it so far.

    Args:
        env_file: as for `settings.load`.
        given: as for `settings.load`.
        prefixes: the prefixes to list; without one, the whole bucket.
        stack: closes what the checks open.
    """

    settings: Settings
    options: Options
    dialer: Dialer
    http: HttpClient
    store: Store
    pace: Pace
    objects: list[RemoteObject]
    """Objects of the first pages, by size: the selected ones, or all if none is selected.

    Those in an archive are left out, as a run fetches none of them.
    """

    def __init__(
        self,
        env_file: Path | None,
        given: Mapping[str, object],
        prefixes: Sequence[str],
        stack: AsyncExitStack,
    ) -> None:
        self.env_file = env_file
        self.given = given
        self.prefixes = prefixes or [""]
        self.stack = stack
        self.notices: list[str] = []
        """What a run would tell of the server, such as that the region is another one."""


async def variables(visit: Visit) -> Look:
    """Report which variables are set, and where; never their values."""
    found = await in_thread(partial(origins, visit.env_file, given=visit.given))
    problems = [
        f"{name} is empty in the environment, which hides its value in the env file: unset it"
        for name in found.hidden
    ]
    problems += [f"{name} is not the name of a setting: mistyped?" for name in found.unknown]
    try:
        visit.settings, visit.options = await in_thread(
            partial(parse, visit.env_file, given=visit.given)
        )
    except ConfigError as error:
        raise ConfigError("; ".join([str(error), *problems])) from error
    if visit.options.strip_prefix:
        stripped_prefix(visit.prefixes)
    problems += [
        f"{name} in the env file has no effect: AWS's settings are read from the environment and "
        "from ~/.aws"
        for name in found.unread
    ]
    if exposed := exposure(visit.env_file):
        if visit.options.strict:
            raise ConfigError(exposed)
        problems.append(exposed)
    if found.mixture and visit.settings.access_key_id:
        problems.append(found.mixture)
    problems += filter(None, (keys_logged(visit.settings), unencrypted(visit.settings)))
    if problems:
        return warning("; ".join(problems))
    by_place: dict[str, list[str]] = {}
    if visit.settings.credentials_place:
        by_place[visit.settings.credentials_place] = ["credentials"]
    for name, place in found.places.items():
        by_place.setdefault(place, []).append(name)
    return ok("; ".join(f"{', '.join(names)} from {place}" for place, names in by_place.items()))


async def endpoint(visit: Visit) -> Look:
    """Check the form of the settings, and open the client, which reads proxies and CA files."""
    from asyncsync.s3 import open_store  # not for --help

    url, options = address_of(visit.settings).origin, visit.options
    visit.dialer = Dialer(url, ssl_context=None, timeout=CONNECT_TIMEOUT, tells_certificates=True)
    visit.http = await visit.stack.enter_async_context(HttpClient(url))
    visit.store = await visit.stack.enter_async_context(
        open_store(visit.settings, visit.notices.append, read_timeout=options.read_timeout)
    )
    visit.pace = Pace(options.workers, options.max_workers, min(options.attempts, ATTEMPTS))
    if problem := _find_suspect_setting(visit.settings):
        return warning(problem)
    found = visit.settings
    unsigned = "" if found.access_key_id else ", without a signature"
    return ok(f"{found.endpoint_url}, bucket {found.bucket}, region {found.region}{unsigned}")


def _find_suspect_setting(settings: Settings) -> str:
    """Return which setting is probably a mistake, and why; empty for none."""
    host = urlsplit(settings.endpoint_url).hostname or ""
    names = settings.names
    if host.endswith(".r2.dev"):
        return (
            f"{names.endpoint_url}: r2.dev serves a bucket to browsers; S3 requests go to "
            "https://<account>.r2.cloudflarestorage.com"
        )
    if is_aws(host) and settings.region == "auto":
        return f"{names.region}: AWS needs the bucket's region, such as eu-central-1, not auto"
    r2 = R2_HOST.fullmatch(host)
    if r2 is None:
        return ""
    if not settings.access_key_id:
        return "R2 answers no request without a signature: leave out --no-sign-request"
    if not re.fullmatch("[0-9a-f]{32}", r2["account"]):
        return (
            f"{names.endpoint_url}: the host must begin with an account ID of 32 hexadecimal digits"
        )
    called = (names.access_key_id, names.secret_access_key)
    values = (Secret(settings.access_key_id), settings.credentials.secret_access_key)
    for name, shape, value in zip(called, _R2_SHAPES, values, strict=True):
        if not shape.fullmatch(value.reveal()):
            return (
                f"{name}: R2 uses {shape.pattern[-3:-1]} hexadecimal digits, but this value "
                "has another form; did you paste the API token, or swap the two keys?"
            )
    return ""


async def name(visit: Visit) -> Look:
    """Look up the addresses of the endpoint, or of the proxy."""
    addresses = await visit.dialer.look_up()
    if addresses == [visit.dialer.via]:
        return ok("the endpoint is an IP address")
    more = f" and {len(addresses) - 4} more" if len(addresses) > 4 else ""
    return ok(f"{visit.dialer.via} is {', '.join(addresses[:4])}{more}")


async def connection(visit: Visit) -> Look:
    """Connect as a run does: through the proxy, with certificate and host name verified."""
    started = time.monotonic()
    connection = await visit.dialer.dial(lambda _: None)
    took = _ms(time.monotonic() - started)
    tls = cast("ssl.SSLObject | None", connection.transport.get_extra_info("ssl_object"))
    certificate, version = (tls.getpeercert(), tls.version()) if tls else (None, None)
    connection.abort()
    await connection.lost
    if not certificate:
        by = (
            "so whoever is on the way can read and change all"
            if unencrypted(visit.settings)
            else "which is for servers on this machine only"
        )
        return ok(f"connected in {took}, without TLS, {by}")
    expiry = str(certificate["notAfter"])
    left = ssl.cert_time_to_seconds(expiry) - time.time()
    text = f"connected in {took}, {version}, the certificate is valid for the host until {expiry}"
    return warning(f"{text}: that is soon") if left < EXPIRES_SOON else ok(text)


async def clock(visit: Visit) -> Look:
    """Compare the Date header of a response, whatever its status, with this machine's clock."""
    before = time.time()
    async with visit.http.request("HEAD", "/", {}) as response:
        now = (before + time.time()) / 2
        date = response.headers.get("date", "")
    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return skipped("the server does not report its time")
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ok("this machine's clock and the server's agree")
    return warning(
        f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the "
        "server's, which refuses requests from 900 s on; set it by NTP (timedatectl set-ntp true)"
    )


async def listing(visit: Visit) -> Look:
    """List the first page of each prefix, which shows whether credentials and bucket are right."""
    objects: list[RemoteObject] = []
    empty: list[str] = []
    is_complete = True
    for prefix in visit.prefixes:
        async with aclosing(Paging(visit.store, visit.pace).pages(prefix)) as pages:
            page = await anext(pages)
        listed = [remote for remote in page.objects if not remote.key.endswith("/")]
        objects += listed
        if not listed:
            empty.append(prefix)
        is_complete = is_complete and not page.next_token
    options = visit.options
    selection = Selection(options.include, options.exclude, limits=options.limits)
    selected = [remote for remote in objects if selection.takes(remote)]
    readable = [remote for remote in selected or objects if not remote.archive]
    visit.objects = sorted(readable, key=lambda remote: remote.size)
    accepted = (
        "the credentials are accepted"
        if visit.settings.access_key_id
        else "requests without a signature are accepted"
    )
    if empty:
        return warning(f"{accepted}, but there is no object {_place(empty)}")
    place = _place(visit.prefixes)
    if not is_complete:
        place = f"on the first page {place}"
    if not selected:
        hints = Hints(selection)
        hints.note(objects)
        return warning(f"all {len(objects):,} objects {place} are left out: {hints.why_nothing()}")
    told = "".join(f"; {notice}" for notice in visit.notices)
    text = f"{accepted}; {len(selected):,} of {len(objects):,} objects {place} are selected{told}"
    urgent = [notice for notice in visit.notices if isinstance(notice, Urgent)]
    return warning("; ".join(urgent)) if urgent else ok(text)


def _place(prefixes: Sequence[str]) -> str:
    return f"under {', '.join(map(shown, prefixes))}" if any(prefixes) else "in the bucket"


async def head(visit: Visit) -> Look:
    """Send a HEAD request for one object, which must agree with the listing."""
    if not visit.objects:
        return skipped("there is no object to send HEAD for")
    remote = visit.objects[len(visit.objects) // 2]
    try:
        found = await visit.pace.tries(remote.key).run(partial(visit.store.head, remote.key))
    except HeadRefusedError as error:
        return warning(f"{error}; {error.hint}, and a sync does without it by itself")
    if found.size != remote.size or not remote.has_version(found.etag):
        return warning(f"{shown(remote.key)}: size or ETag differs from the listing")
    return ok("size and ETag of an object agree with the listing")


async def read(visit: Visit) -> Look:
    """Read the beginning of one object."""
    remote = next((remote for remote in visit.objects if remote.size), None)
    if remote is None:
        return skipped("there is no object to read")
    span = range(min(remote.size - 1, READ_SIZE) or 1)

    async def fetch() -> bytes:
        async with visit.store.get(remote, span, as_stored=True) as body:
            return await body.read()

    data = await visit.pace.tries(remote.key).run(fetch)
    return ok(f"received the first {len(data):,} bytes of an object")


async def latency(visit: Visit) -> Look:
    """Measure how long a HEAD and a page of the listing take, on an open connection."""
    remote = visit.objects[len(visit.objects) // 2]
    try:
        head_time = await _median_time(HEADS, partial(visit.store.head, remote.key))
    except HeadRefusedError:
        return skipped("HEAD is refused")
    list_time = await _median_time(LISTS, partial(visit.store.list_page, visit.prefixes[0]))
    text = f"HEAD {_ms(head_time)}, LIST {_ms(list_time)}"
    if head_time < HIGH_LATENCY:
        return ok(text)
    return ok(
        f"{text}; with {START} requests at once, as --workers auto starts, that allows at most "
        f"{START / head_time:,.0f} small objects a second"
    )


async def throughput(visit: Visit) -> Look:
    """Measure the throughput of one request and of several at once, for at most a second each."""
    largest = visit.objects[-1]
    if largest.size < MIN_SIZE:
        return skipped(
            f"the largest object found, {format_size(largest.size)}, is too small to measure"
        )
    several = min(CONCURRENT_REQUESTS, visit.pace.most)
    try:
        one, together = [await _rate(visit.store, largest, n) for n in (1, several)]
    except (TransientError, EncodedObjectError) as error:
        return warning(f"the measurement failed: {error}")
    text = (
        f"one request {format_size(one)}/s, {several} at once {format_size(together)}/s: "
        f"1 GB would take about {_duration(1e9 / max(one, together, 1.0))}"
    )
    if several == 1:
        return ok(f"{text}; --workers 1 allows no more at once")
    if together > one * SPEED_UP:
        return ok(f"{text}; several at once are faster, and --workers auto finds out how many")
    return ok(f"{text}; several at once are hardly faster, so a higher --workers would not help")


async def _median_time(count: int, request: Callable[[], Awaitable[object]]) -> float:
    """Return the median of the seconds that a request takes, sent `count` times."""
    times = []
    for _ in range(count):
        started = time.monotonic()
        await request()
        times.append(time.monotonic() - started)
    return statistics.median(times)


async def _rate(store: Store, remote: RemoteObject, requests: int) -> float:
    """Return the bytes a second of this many requests for the same range, all together."""
    received = 0

    async def fetch() -> None:
        nonlocal received
        async with store.get(remote, range(min(remote.size, RANGE_SIZE))) as body:
            async for block in body.blocks():
                received += len(block)

    started = time.monotonic()
    with anyio.move_on_after(MEASURE_SECONDS):
        async with task_group() as group:
            for _ in range(requests):
                group.start_soon(fetch)
    return received / (time.monotonic() - started)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"

"""The doctor's checks of the remote side, in the order in which a request meets what they look at.

Each says what it finds and raises what is wrong, with the errors and so the hints of a run. What
one of them finds out is kept in the `Visit` for those behind it.
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
from urllib.parse import urlsplit

import anyio

from asyncsync.compare import Selection
from asyncsync.concurrently import task_group
from asyncsync.errors import ConfigError, TransientError
from asyncsync.http import Dialer, HttpClient
from asyncsync.interfaces import Store
from asyncsync.keys import shown
from asyncsync.listing import Paging
from asyncsync.model import RemoteObject, Settings
from asyncsync.pace import START, Pace
from asyncsync.report import Look, ok, skipped, warning
from asyncsync.settings import Options, exposure, origins, parse
from asyncsync.units import format_size

CONNECT_TIMEOUT = 10.0
ATTEMPTS = 2
"""Fewer than in a run: whoever asks the doctor waits for the answer."""
CLOCK_TOLERANCE = 60
"""Seconds; S3 refuses requests at fifteen minutes."""
SOON = 14 * 86400
"""Seconds before its end at which a certificate is worth a word."""
SMALL_RANGE = 64 * 1024
HEADS, LISTS = 5, 3
"""Requests whose times the latency is the median of."""
FAR = 0.01
"""Seconds of a HEAD below which other things than waiting limit a run."""
MEASURED = 2 * 1024 * 1024
"""Bytes that one request of the measurement fetches at most."""
MEASURABLE = 256 * 1024
"""Bytes below which an object says nothing about throughput."""
MEASURED_SECONDS = 1.0
SIDE_BY_SIDE = 8
HELPS = 1.5
"""How much more several requests at once must bring to be worth a word."""

_R2 = re.compile(r"(?P<account>[^.]+)(?:\.(?:eu|fedramp))?\.r2\.cloudflarestorage\.com")
_R2_SHAPES = {
    "R2_ACCESS_KEY_ID": re.compile("[0-9a-f]{32}"),
    "R2_SECRET_ACCESS_KEY": re.compile("[0-9a-f]{64}"),
}


class Visit:
    """A bucket that is looked at, and what the checks have found out about it so far.

    Args:
        env_file: as `settings.load` takes it.
        given: likewise.
        prefixes: the parts of the bucket to list; all of it without one.
        stack: closes what the checks open.
    """

    settings: Settings
    options: Options
    dialer: Dialer
    http: HttpClient
    store: Store
    pace: Pace
    objects: list[RemoteObject]
    """Some that count, or in want of those any; by size."""

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


async def variables(visit: Visit) -> Look:
    """Say which variables are set, and where; never to what."""
    found = origins(visit.env_file, given=visit.given)
    doubts = [
        f"{name} is set to nothing in the environment, which hides what the env file says: unset it"
        for name in found.hidden
    ]
    try:
        visit.settings, visit.options = parse(visit.env_file, given=visit.given)
    except ConfigError as error:
        raise ConfigError("; ".join([str(error), *doubts])) from error
    doubts += [f"{name} is not a setting's name: mistyped?" for name in found.unknown]
    if exposed := exposure(visit.env_file):
        if visit.options.strict:
            raise ConfigError(exposed)
        doubts.append(exposed)
    if doubts:
        return warning("; ".join(doubts))
    by_place: dict[str, list[str]] = {}
    for name, place in found.places.items():
        by_place.setdefault(place, []).append(name)
    return ok("; ".join(f"{', '.join(names)} from {place}" for place, names in by_place.items()))


async def endpoint(visit: Visit) -> Look:
    """Look at the form of the settings, and open the client: it reads authorities and proxies."""
    from asyncsync.s3 import open_store  # not for --help

    url, options = visit.settings.endpoint_url, visit.options
    visit.dialer = Dialer(url, ssl_context=None, timeout=CONNECT_TIMEOUT)
    visit.http = await visit.stack.enter_async_context(HttpClient(url))
    visit.store = await visit.stack.enter_async_context(open_store(visit.settings))
    visit.pace = Pace(options.workers, options.max_workers, min(options.attempts, ATTEMPTS))
    if doubt := _doubt_about(visit.settings):
        return warning(doubt)
    return ok(f"{url}, bucket {visit.settings.bucket}, region {visit.settings.region}")


def _doubt_about(found: Settings) -> str:
    """Return what is probably not as the person means it, empty for nothing."""
    host = urlsplit(found.endpoint_url).hostname or ""
    if host.endswith(".r2.dev"):
        return (
            "R2_ENDPOINT_URL: r2.dev serves a bucket to browsers; S3 requests go to "
            "https://<account>.r2.cloudflarestorage.com"
        )
    if host.endswith(".amazonaws.com") and found.region == "auto":
        return "R2_REGION: AWS wants the bucket's region, such as eu-central-1, and not auto"
    r2 = _R2.fullmatch(host)
    if r2 is None:
        return ""
    if not re.fullmatch("[0-9a-f]{32}", r2["account"]):
        return "R2_ENDPOINT_URL: an account's ID has 32 hexadecimal digits, and this host's has not"
    values = (found.access_key_id, found.secret_access_key)
    for (variable, shape), value in zip(_R2_SHAPES.items(), values, strict=True):
        if not shape.fullmatch(value):
            return (
                f"{variable}: does not look like R2's ({shape.pattern[-3:-1]} hexadecimal digits); "
                "the token's own value is something else, and the two keys are easily swapped"
            )
    return ""


async def name(visit: Visit) -> Look:
    """Look the host up, or the proxy's."""
    addresses = await visit.dialer.look_up()
    if addresses == [visit.dialer.via]:
        return ok("the endpoint is named by its address")
    more = f" and {len(addresses) - 4} more" if len(addresses) > 4 else ""
    return ok(f"{visit.dialer.via} is {', '.join(addresses[:4])}{more}")


async def connection(visit: Visit) -> Look:
    """Connect as a run does: through the proxy, with the certificate and its host name checked."""
    started = time.monotonic()
    made = await visit.dialer.dial(lambda _: None)
    took = _ms(time.monotonic() - started)
    tls = made.transport.get_extra_info("ssl_object")
    certificate, version = None, None
    if isinstance(tls, ssl.SSLObject):
        certificate, version = tls.getpeercert(), tls.version()
    made.abort()
    await made.lost
    if not certificate:
        return ok(f"in {took}, without TLS, which is for servers on this machine only")
    ends = str(certificate["notAfter"])
    left = ssl.cert_time_to_seconds(ends) - time.time()
    text = f"in {took}, {version}, the certificate fits the host and is good until {ends}"
    return warning(f"{text}: that is soon") if left < SOON else ok(text)


async def clock(visit: Visit) -> Look:
    """Compare the Date of an answer, whatever that is, with this machine's clock."""
    before = time.time()
    async with visit.http.request("HEAD", "/", {}) as response:
        now = (before + time.time()) / 2
        date = response.headers.get("date", "")
    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return skipped("the server does not say what time it has")
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ok("this machine's and the server's agree")
    return warning(
        f"this machine's is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the server's"
        ", and requests are refused from 900 s on; let it be set by NTP (timedatectl set-ntp true)"
    )


async def listing(visit: Visit) -> Look:
    """List the first pages, which show whether the credentials and the bucket are right."""
    objects: list[RemoteObject] = []
    empty: list[str] = []
    is_all = True
    for prefix in visit.prefixes:
        async with aclosing(Paging(visit.store, visit.pace).pages(prefix)) as pages:
            page = await anext(pages)
        found = [found for found in page.objects if not found.key.endswith("/")]
        objects += found
        if not found:
            empty.append(prefix)
        is_all = is_all and not page.next_token
    counts = Selection(visit.options.include, visit.options.exclude)
    counting = [found for found in objects if counts(found.key)]
    visit.objects = sorted(counting or objects, key=lambda found: found.size)
    if empty:
        return warning(f"the credentials are accepted, but there is no object {_place(empty)}")
    place = _place(visit.prefixes) if is_all else f"on the first page {_place(visit.prefixes)}"
    if not counting:
        return warning(f"none of {len(objects):,} objects {place} counts: --include or --exclude?")
    return ok(
        f"the credentials are accepted; {len(counting):,} of {len(objects):,} objects {place} count"
    )


def _place(prefixes: Sequence[str]) -> str:
    return f"under {', '.join(map(shown, prefixes))}" if any(prefixes) else "in the bucket"


async def head(visit: Visit) -> Look:
    """Ask for one object's HEAD, which must agree with the listing."""
    if not visit.objects:
        return skipped("there is no object to ask for")
    remote = visit.objects[len(visit.objects) // 2]
    said = await visit.pace.tries(remote.key).run(partial(visit.store.head, remote.key))
    if (said.size, said.etag) != (remote.size, remote.etag):
        return warning(f"{shown(remote.key)}: size or version is not what the listing says")
    return ok("says of an object what the listing says")


async def read(visit: Visit) -> Look:
    """Read the beginning of one object."""
    remote = next((found for found in visit.objects if found.size), None)
    if remote is None:
        return skipped("there is no object to read")
    span = range(min(remote.size - 1, SMALL_RANGE) or 1)

    async def fetch() -> bytes:
        async with visit.store.get(remote, span) as body:
            return await body.read()

    data = await visit.pace.tries(remote.key).run(fetch)
    return ok(f"the first {len(data):,} bytes of an object have come")


async def latency(visit: Visit) -> Look:
    """Measure how long a HEAD and a page of the listing take, on an open connection."""
    remote = visit.objects[len(visit.objects) // 2]
    one_head = await _median(HEADS, partial(visit.store.head, remote.key))
    one_list = await _median(LISTS, partial(visit.store.list_page, visit.prefixes[0]))
    text = f"HEAD {_ms(one_head)}, LIST {_ms(one_list)}"
    if one_head < FAR:
        return ok(text)
    return ok(
        f"{text}; waiting limits {START} requests at once, which --workers auto starts with, to "
        f"{START / one_head:,.0f} small objects a second"
    )


async def throughput(visit: Visit) -> Look:
    """Measure what one request brings, and what several at once do; a second each at most."""
    largest = visit.objects[-1]
    if largest.size < MEASURABLE:
        return skipped(
            f"the largest object found, {format_size(largest.size)}, is too small to tell"
        )
    several = min(SIDE_BY_SIDE, visit.pace.most)
    try:
        one, all_of_them = [await _rate(visit.store, largest, n) for n in (1, several)]
    except TransientError as error:
        return warning(f"the measurement broke off: {error}")
    text = (
        f"one request {format_size(one)}/s, {several} at once {format_size(all_of_them)}/s: "
        f"1 GB would take about {_duration(1e9 / max(one, all_of_them, 1.0))}"
    )
    if several == 1:
        return ok(f"{text}; --workers 1 allows no more at once")
    if all_of_them > one * HELPS:
        return ok(f"{text}; more at once bring more, which --workers auto finds out")
    return ok(f"{text}; more at once bring little, so a higher --workers would not help")


async def _median(times: int, request: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds that the middle one of some requests takes."""
    taken = []
    for _ in range(times):
        started = time.monotonic()
        await request()
        taken.append(time.monotonic() - started)
    return statistics.median(taken)


async def _rate(store: Store, remote: RemoteObject, requests: int) -> float:
    """Return the bytes a second that so many requests for one range bring together."""
    received = 0

    async def fetch() -> None:
        nonlocal received
        async with store.get(remote, range(min(remote.size, MEASURED))) as body:
            async for block in body.blocks():
                received += len(block)

    started = time.monotonic()
    with anyio.move_on_after(MEASURED_SECONDS):
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

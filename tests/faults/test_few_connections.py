"""Servers that serve few connections, and let all others wait."""

from pathlib import Path

import pytest

from asyncsync.http import HttpClient
from asyncsync.model import Downloaded
from asyncsync.pace import Pace
from asyncsync.s3 import store
from tests.rigs.few_connections import FullS3, SilentS3
from tests.rigs.scripted_s3 import sync
from tests.rigs.watch import Watcher, tree

pytestmark = [pytest.mark.anyio, pytest.mark.row(135)]

SMALL = {f"{number % 7}/{number}": b"%d" % number for number in range(401)}
LARGE = {f"{number}": bytes([number]) * 20_000_000 for number in range(4)}


@pytest.mark.parametrize("objects", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("kind", [SilentS3, FullS3], ids=["silent", "queue full"])
async def test_all_arrive_from_a_server_of_four_connections(
    dest: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[SilentS3 | FullS3],
    objects: dict[str, bytes],
) -> None:
    """Nothing fails, hardly any request is sent twice, and fewer are sent at once from then on."""

    def impatient(endpoint: str, **_: float) -> HttpClient:
        return HttpClient(endpoint, read_timeout=1.0, connect_timeout=1.0)

    monkeypatch.setattr(store, "HttpClient", impatient)
    seen, pace = Watcher(), Pace(None, 256, 2)
    async with kind(objects) as s3:
        ran = await sync(s3, dest, seen=seen, pace=pace)
    assert (ran.code, ran.error) == (0, None)
    assert tree(dest) == objects
    assert pace.slot.total <= 4
    attempts = [outcome.attempts for outcome in seen.outcomes if isinstance(outcome, Downloaded)]
    assert max(attempts) <= 3

"""What is asked of Dask, and what becomes of its errors."""

from collections.abc import Awaitable, Callable

import pytest
from distributed import CancelledError, Client
from distributed.comm.core import CommClosedError

from asyncsync.dask.batch import Batch
from asyncsync.dask.cluster import Cluster, GoneError

pytestmark = pytest.mark.anyio


@pytest.mark.row(203)
@pytest.mark.parametrize("error", [CommClosedError("Stream is closed"), CancelledError("a-key")])
async def test_connection_that_is_closed_in_the_middle_of_an_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It counts as a cluster that is gone, which the run can do without."""

    async def ask(_: object, __: Callable[[], Awaitable[bytes]]) -> bytes:
        raise error

    monkeypatch.setattr(Cluster, "_ask", ask)
    batch = Batch.__new__(Batch)  # nobody looks at it
    with pytest.raises(GoneError):
        await Cluster(client).fetch(batch)

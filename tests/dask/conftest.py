"""A Dask cluster of this machine: three worker processes."""

from collections.abc import Iterator

import dask
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three processes, which are replaced when they die."""
    with (
        dask.config.set(
            {
                "temporary-directory": str(tmp_path_factory.mktemp("dask")),
            }
        ),
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as running,
    ):
        yield running


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A synchronous client, as scripts have one, of a cluster whose workers are all there."""
    with Client(cluster) as connected:
        connected.wait_for_workers(3, timeout=60)
        yield connected

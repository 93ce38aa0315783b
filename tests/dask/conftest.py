"""A Dask cluster of this machine: three worker processes."""

import gc
import warnings
from collections.abc import Iterator

import dask
import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Three processes, which are replaced when they die.

    Its threads in this process end before other tests, some of which count objects or open files.
    """
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
    with warnings.catch_warnings(category=ResourceWarning, action="ignore"):
        gc.collect()  # what Dask has left open is told of here, and by no other test


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    """A synchronous client, as scripts have one, of a cluster whose workers are all there."""
    with Client(cluster) as connected:
        connected.wait_for_workers(3, timeout=60)
        yield connected

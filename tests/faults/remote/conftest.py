"""The bucket of these tests."""

import pytest

from tests.faults.remote.scene import KEY, OTHER, SMALL
from tests.rigs.bucket import Bucket


@pytest.fixture
def bucket(empty_bucket: Bucket) -> Bucket:
    """A bucket on a real server, with two small objects."""
    empty_bucket.put(KEY, SMALL)
    empty_bucket.put(OTHER, SMALL)
    return empty_bucket

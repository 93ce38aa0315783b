"""How many calls a sync takes. Unlike timings they are nearly the same on every machine."""

import random
import sys
from pathlib import Path

import pytest

from benchmarks import site
from benchmarks.counting import ROOMS, count, count_known
from benchmarks.tree import Tree
from tests.rigs.bucket import Bucket

# What the server of the tests needs, without TLS, and a seventh for what the system hands over in
# other pieces where the machine is busy. A change that needs fewer calls lowers them; one that
# needs more has to say why.
CALLS_OF_AN_OBJECT = 620
CALLBACKS_OF_AN_OBJECT = 8.5
CALLS_OF_A_MIB = 620
CALLBACKS_OF_A_MIB = 13
CALLS_OF_A_KEY = 25

TRIALS = 3
MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="versions of Python call differently"
)


def check(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, units: float, most: tuple[float, float]
) -> None:
    """Check that a sync takes few calls and callbacks, or the next one does, on a busy machine."""
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    seen = []
    for trial in range(TRIALS):
        found = count(Path(f"destination-{trial}").absolute(), units, workers=16)
        assert found.calls == pytest.approx(sum(found.rooms.values()))
        assert found.in_threads < found.calls
        assert {found.rooms[room] > 0 for room in set(ROOMS) - {"report"}} == {True}
        if found.calls < most[0] and found.callbacks < most[1]:
            return
        seen.append(found)
    pytest.fail(str(seen))


def test_a_small_object_takes_few_calls(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls and the callbacks of the loop for each object of 20-200 KB stay below a bound."""
    draw = random.Random("calls")
    sizes = [draw.randint(20_000, 200_000) for _ in range(300)]
    bucket.put_many({f"1hz/{n:03d}.parquet": draw.randbytes(size) for n, size in enumerate(sizes)})
    check(bucket, monkeypatch, len(sizes), (CALLS_OF_AN_OBJECT, CALLBACKS_OF_AN_OBJECT))


def test_a_mib_of_a_large_object_takes_few_calls(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls and the callbacks of the loop for each MiB of a large object stay below a bound."""
    bucket.put_many({f"1hz/{n}.parquet": random.Random(n).randbytes(32 * MIB) for n in range(2)})
    check(bucket, monkeypatch, 64, (CALLS_OF_A_MIB, CALLBACKS_OF_A_MIB))


def test_a_key_whose_file_is_here_takes_few_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls for each of many keys stay below a bound: most work is done for a page at once."""
    tree, destination = Tree(30_000), tmp_path / "destination"
    tree.write(destination)
    with site.listing_only(str(len(tree))) as lister:
        monkeypatch.setenv("R2_ENDPOINT_URL", f"http://{lister}")
        monkeypatch.setenv("R2_BUCKET", "sensors")
        monkeypatch.setenv("R2_ACCESS_KEY_ID", "AKID")
        monkeypatch.setenv("R2_SECRET_ACCESS_KEY", "a-secret-of-the-tests")
        trials = (count_known(destination, len(tree)) for _ in range(TRIALS))
        assert any(calls < CALLS_OF_A_KEY for calls in trials)

"""The example notebook, cell by cell in a real kernel, against a real server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import pyarrow
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from pyarrow import parquet

from asyncsync.demo import demo
from asyncsync.demo.seaweed import SeaweedServer
from asyncsync.progress.bar import steady_size
from tests import ROOT
from tests.rigs.bucket import Bucket, new_bucket
from tests.rigs.relay import Relay
from tests.rigs.watch import tree, unfinished

pytestmark = pytest.mark.anyio

NOTEBOOK = ROOT / "examples/00_downloader.ipynb"
SECONDS = 60


@pytest.fixture(scope="module")
def stock(server: SeaweedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket with a week of the demo's sample data, and a key with markup."""
    folder = tmp_path_factory.mktemp("sample")
    with pytest.MonkeyPatch.context() as patch, new_bucket(server) as bucket:
        for name, value in (("_DAYS", 7), ("_HUB2_DAYS", 3), ("_RAW_SAMPLES", 100_000)):
            patch.setattr(demo, name, value)
        files = demo.make_sample(folder)
        bucket.put_many({f.relative_to(folder).as_posix(): f.read_bytes() for f in files})
        bucket.put("fft_hub1/<img src=x onerror=alert(1)>.parquet", files[0].read_bytes())
        yield bucket


@pytest.fixture
def place(stock: Bucket, tmp_path: Path) -> Path:
    """A folder with an env file for the bucket."""
    write_env_file(stock, tmp_path)
    return tmp_path


def write_env_file(bucket: Bucket, folder: Path) -> None:
    """Write an env file for the bucket into the folder."""
    settings = bucket.server.environment().items()
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings))
    (folder / ".env").chmod(0o600)


class Kernel:
    """A Jupyter kernel that runs cells."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    async def run(self, source: str, *, may_fail: bool = False) -> nbformat.NotebookNode:
        """Run a cell and return it with its outputs."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells.append(cell)
        self._client.allow_errors = may_fail
        return await self._client.async_execute_cell(cell, len(self._client.nb.cells) - 1)

    async def interrupt(self) -> None:
        """Interrupt the kernel, as the notebook's stop button does."""
        manager = self._client.km
        assert isinstance(manager, AsyncKernelManager)
        await manager.interrupt_kernel()


@asynccontextmanager
async def kernel(folder: Path) -> AsyncIterator[Kernel]:
    """Start a kernel in the folder, whose sockets are files: a port might be taken meanwhile."""
    notebook = nbformat.v4.new_notebook()
    resources = {"metadata": {"path": folder}}
    with TemporaryDirectory() as place:  # the path of a socket has to be short
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{place}/kernel")
        client = NotebookClient(notebook, km=manager, timeout=SECONDS, resources=resources)
        async with client.async_setup_kernel(cleanup_kc=True):
            yield Kernel(client)


def shown(cell: nbformat.NotebookNode, kind: str = "text/html") -> str:
    """Return the output of a cell as one MIME type."""
    return "".join(output["data"].get(kind, "") for output in cell.outputs if "data" in output)


def bars(cell: nbformat.NotebookNode) -> str:
    """Return the bars of a cell, which are the first that it displays."""
    return str(next(output["data"]["text/html"] for output in cell.outputs if "data" in output))


def printed(cell: nbformat.NotebookNode) -> str:
    """Return what a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


async def test_notebook_works(place: Path, stock: Bucket) -> None:
    """Each cell shows its result: check, stream, download, verification, second run, data."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    by_id = {cell.id: cell.source for cell in notebook.cells if cell.cell_type == "code"}
    done: dict[str, nbformat.NotebookNode] = {}
    async with kernel(place) as session:
        for name, source in by_id.items():
            done[name] = await session.run(source)
    keys = stock.keys()
    assert sorted(tree(place / "downloads")) == keys
    count = len(keys)
    assert f"{count} to download" in shown(done["check"])
    assert "&lt;img src=x" in shown(done["check"])
    assert "<img" not in shown(done["check"])
    assert "Folders: (root) 1hz/ fft_hub1/ fft_hub2/\n" in printed(done["folders"])
    assert printed(done["stream"]) == "25,200 new rows in 1hz/\n"
    assert f"{count - 7} downloaded" in shown(done["download"])
    assert f"{count - 7}/{count - 7} files" in bars(done["download"])
    assert f"{count} verified, 0 not in sync" in shown(done["verify"])
    assert f"0 downloaded, {count} up to date" in shown(done["run"])
    rows = re.findall(r"│ (\S+) +│ +(\d+) │ +(\d+) │", printed(done["data"]))
    assert ("1hz", "7", "25200") in rows
    assert len(rows) == 4


@pytest.mark.row(164)
async def test_notebook_shows_keys_harmlessly(bucket: Bucket, tmp_path: Path) -> None:
    """What its cells print of keys that attack a terminal has no control characters."""
    attack = "\x1b]0;owned\x07\nforged"
    table = tmp_path / "table.parquet"
    parquet.write_table(pyarrow.table({"a": [1]}), table)
    bucket.put(f"{attack}/good.parquet", table.read_bytes())
    bucket.put(f"{attack}/{attack}.parquet", b"no Parquet")
    write_env_file(bucket, tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    text = ""
    async with kernel(tmp_path) as session:
        await session.run("%env ASYNCSYNC_PARQUET_CHECK=yes")
        for cell in notebook.cells:
            if cell.id in {"settings", "check", "folders", "stream"}:
                text += printed(await session.run(cell.source))
    assert all(line.isprintable() for line in text.splitlines())
    assert rf"Folders: \x1b]0;owned\x07\nforged/{chr(10)}" in text
    assert "failed: \\x1b]0;owned\\x07\\nforged/\\x1b" in text


async def test_bars_of_a_notebook_end_green(place: Path) -> None:
    """The bar of the whole run ends with the run's total, with `sync` and with `run`."""
    async with kernel(place) as session:
        await session.run("import asyncsync")
        for call in ("await asyncsync.sync", "asyncsync.run"):
            source = f"""
report = {call}(dest="{call}", observer=asyncsync.Bars())
print(report.downloaded, report.downloaded_bytes)
"""
            cell = await session.run(source)
            count, size = map(int, printed(cell).split())
            whole = f"{count}/{count} files  100%  {steady_size(size)} of {steady_size(size)}"
            assert shown(cell, "text/plain").startswith(whole)
            assert bars(cell).count("<tr") == 1
            assert "#2e9e4f" in bars(cell)


async def test_bar_of_a_run_with_a_failure_ends_red(bucket: Bucket, tmp_path: Path) -> None:
    """The bar of the object is gone when the run has ended."""
    bucket.put("large.parquet", bytes(1_000_000))
    write_env_file(bucket, tmp_path)
    source = """
import asyncsync
report = await asyncsync.sync(parquet_check=True, observer=asyncsync.Bars())
print(report.failed)
"""
    async with kernel(tmp_path) as session:
        cell = await session.run(source)
    assert printed(cell) == "1\n"
    assert "1/1 files" in bars(cell)
    assert bars(cell).count("<tr") == 1
    assert "#d04437" in bars(cell)


async def test_notebook_warns_of_a_prefix_without_objects(place: Path) -> None:
    """Also without an observer, and a plan leaves no bar."""
    source = """
import asyncsync
await asyncsync.plan(dest="none", prefixes=["1hz/", "1hzz/"], observer=asyncsync.Bars())
asyncsync.run(dest="none", prefixes=["1hzz/"])
"""
    async with kernel(place) as session:
        cell = await session.run(source)
    assert printed(cell) == "asyncsync: nothing under prefix 1hzz/: no key begins with it\n" * 2
    assert "files" not in bars(cell)


@pytest.mark.parametrize("call", ["await asyncsync.sync", "asyncsync.run"])
async def test_interrupted_cell_stops_the_sync(place: Path, stock: Bucket, call: str) -> None:
    """The sync ends cleanly, and the next cell of the same kernel goes on from there."""
    async with Relay(stock.server.endpoint_url) as relay, kernel(place) as session:
        settings = f"import os; os.environ['R2_ENDPOINT_URL'] = {relay.endpoint!r}"
        await session.run(f"{settings}; import asyncsync")
        hold = relay.hold(f"GET /{stock.server.bucket}/sensors.parquet", after=0)
        source = f"report = {call}(dest='downloads', prefixes=['sensors'])\nreport.exit_code"
        running = asyncio.ensure_future(session.run(source, may_fail=True))
        await asyncio.wait_for(hold.stopped.wait(), SECONDS)
        await session.interrupt()
        cell = await running
        assert cell.outputs[-1].ename in {"KeyboardInterrupt", "CancelledError"}
        assert tree(place / "downloads") == {}
        assert unfinished(place / "downloads") == []
        hold.released.set()
        cell = await session.run(source)
        assert shown(cell, "text/plain") == "0"
        assert sorted(tree(place / "downloads")) == ["sensors.parquet"]


def test_notebook_is_committed_clean() -> None:
    """Without outputs, execution counts and absolute paths, and with cell ids."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not re.search(r"(?:^|['\" ])/\w", cell.source)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}

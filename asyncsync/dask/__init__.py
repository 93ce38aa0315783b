"""A sync whose objects are downloaded by the workers of a Dask cluster: `asyncsync.dask.sync`.

Read `door.py` first: it is `asyncsync.sync` with another engine. `crew.py` is that engine, the
brain's side: it deals transfers in batches (`portions.py` says how large one is), takes the files,
and tells what became of each (`dealt.py` reads what comes back of a batch). `orders.py` says what
each batch is told (`batch.py`), and renews the credentials. `cluster.py` is all that is asked of
Dask. `worker.py` is what Dask runs in a worker, where a mover lives from the first batch of a run
to the last (`resident.py`).

Nothing here schedules, moves data between machines, or gives a file its name: the first two are
Dask's, and the last is the brain's (`movers/`, `disk/taking.py`). Importing it imports no Dask.
"""

from asyncsync.dask.door import sync

__all__ = ["sync"]

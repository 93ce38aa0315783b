"""The remote side: a bucket as a `Store`.

Read `store.py` first: the requests and what their answers hold. `sigv4.py` signs them, with the
time from `clock.py`; `client.py` is aioboto3, which lists; `pages.py` parses XML, and `refusals.py`
turns an unexpected answer into an error.

Nothing here retries, and no exception of aioboto3 leaves this folder.
"""

from asyncsync.s3.store import open_store

__all__ = ["open_store"]

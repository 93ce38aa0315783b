"""The remote side: a bucket as a `Store`.

Read `store.py` first: the requests and what their answers hold. `sigv4.py` signs them, with the
time from `clock.py` and what `credentials.py` holds; `client.py` is aioboto3, for the pages of a
long listing; `reading.py` reads pages and `pages.py` parses them, `refusals.py` turns an unexpected
answer into an error, with what `meanings.py` has on its code, `regions.py` puts a wrong region
right, `bodies.py` and `checksums.py` find in an answer what it says of an object, `server.py`
remembers what the server lacks, and `redaction.py` keeps secrets out of what libraries log.

Nothing here retries, and no exception of aioboto3 leaves this folder.
"""

from asyncsync.s3.redaction import redact_libraries
from asyncsync.s3.store import open_store

__all__ = ["open_store", "redact_libraries"]

"""HTTP/1.1 to one endpoint over asyncio: the transport under `s3/`.

Read `client.py` first: requests, answers, and the pool of connections. `dial.py` opens a connection
(name, proxy, TLS), `connection.py` speaks HTTP on it
(requests' heads are made in `heads.py`), `tls.py` encrypts it, `buffers.py` has what
the two stand on, and `patience.py` decides when an answer has stalled.

Nothing here knows of S3, and no redirect is followed.
"""

from asyncsync.http.client import HttpClient, Response
from asyncsync.http.dial import Dialer

__all__ = ["Dialer", "HttpClient", "Response"]

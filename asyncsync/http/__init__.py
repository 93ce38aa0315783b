"""HTTP/1.1 to one endpoint over asyncio: the transport under `s3/`.

Read `client.py` first: requests, responses, and the pool of connections. `dial.py` opens a
connection (name, proxy, TLS). `connection.py` sends a request, whose head `heads.py` encodes, and
reads its response into memory from `buffers.py`. `tls.py` encrypts the connection, and
`patience.py` decides when a response has stalled.

Nothing here knows of S3, and no redirect is followed.
"""

from asyncsync.http.client import HttpClient, Response
from asyncsync.http.dial import Dialer

__all__ = ["Dialer", "HttpClient", "Response"]

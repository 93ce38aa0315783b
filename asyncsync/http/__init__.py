"""HTTP/1.1 to one endpoint over asyncio: the transport under `s3/`.

Read `client.py` first: requests, responses, and the pool of connections. `dial.py` opens a
connection (name, proxy, TLS). `connection.py` sends a request and reads its response into memory
from `buffers.py`; `heads.py` makes and parses their heads. `patience.py` decides when a response
has stalled.

Nothing here knows of S3, and no redirect is followed.
"""

from asyncsync.http.client import Exchange, HttpClient, Response, send_both
from asyncsync.http.dial import Dialer
from asyncsync.http.heads import Headers

__all__ = ["Dialer", "Exchange", "Headers", "HttpClient", "Response", "send_both"]

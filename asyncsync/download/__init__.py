"""One transfer in, one validated and published file out.

Read `download.py` first: how one object is downloaded, and `parts.py` for a large one. `sink.py`
says what takes it. `validate.py` compares what the listing, HEAD and GET say about it, and
`proof.py` checks its bytes, by a checksum or the hash in the ETag, and as Parquet. `verify.py` does
both for a file that exists already, `adopt.py` lets such a file take the place of a download
(`unproven.py` keeps those that wait for that), and `repair.py` downloads it again if it is not in
order. `gone.py` makes sure that an object is gone.

Nothing here knows of other transfers, and no file gets its final name before it is validated.
"""

from asyncsync.download.adopt import Adopter
from asyncsync.download.download import SMALL, Downloader
from asyncsync.download.gone import find_unconfirmed
from asyncsync.download.repair import Repairer
from asyncsync.download.sink import Sink
from asyncsync.download.unproven import Unproven
from asyncsync.download.verify import Verifier

__all__ = [
    "SMALL",
    "Adopter",
    "Downloader",
    "Repairer",
    "Sink",
    "Unproven",
    "Verifier",
    "find_unconfirmed",
]

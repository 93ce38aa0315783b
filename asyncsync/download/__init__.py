"""One transfer in, one validated and published file out.

Read `download.py` first: it is the story of one object. `validate.py` compares what the listing,
HEAD and GET say of it, and `proof.py` proves its bytes: by the hash in the ETag, and as Parquet.
`verify.py` does both for a file that exists already.

Nothing here knows of other transfers, and no file gets its final name before it was validated.
"""

from asyncsync.download.download import Downloader
from asyncsync.download.verify import Verifier

__all__ = ["Downloader", "Verifier"]

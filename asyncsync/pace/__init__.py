"""How many requests at once, when to try again, and how fast.

Read `pace.py` first: slots for requests, and the one retry loop. `rate.py` limits requests a second
once the server has refused some, and `limit.py` bytes a second (`--limit-rate`).

Nothing here knows what a request asks for.
"""

from asyncsync.pace.limit import Limit, LimitedStore
from asyncsync.pace.pace import START, STREAMS_AT_ONCE, Pace, Tries

__all__ = ["START", "STREAMS_AT_ONCE", "Limit", "LimitedStore", "Pace", "Tries"]

"""How many requests at the same time, when to retry, and how fast.

Read `pace.py` first: slots for requests (`slots.py`), and the only retry loop. `rate.py` limits
requests per second after the server has refused some, and `limit.py` bytes per second
(`--limit-rate`). `standstill.py` is the time in which all requests fail.

Nothing here knows what a request is about.
"""

from asyncsync.pace.limit import Limit, LimitedStore
from asyncsync.pace.pace import START, STREAMS_AT_ONCE, Pace, Tries

__all__ = ["START", "STREAMS_AT_ONCE", "Limit", "LimitedStore", "Pace", "Tries"]

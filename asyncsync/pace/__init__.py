"""How many requests at the same time, when to retry, and how fast.

Read `pace.py` first: slots for requests (`slots.py`; `tuning.py` finds how many), and the only
retry loop. `rate.py` limits requests per second after the server has refused some, and `limit.py`
bytes per second (`--limit-rate`). `outage.py` is the time in which no connection can be opened,
`standstill.py` that in which all requests fail, `refused.py` says when refused objects end the run,
and `deadline.py` ends it when its time is up (`--max-duration`).

Nothing here knows what a request is about.
"""

from asyncsync.pace.deadline import Deadline
from asyncsync.pace.limit import Limit, LimitedStore
from asyncsync.pace.pace import LARGE_AT_ONCE, STREAMS_AT_ONCE, Pace, Tries, requested_pause
from asyncsync.pace.slots import Slots
from asyncsync.pace.tuning import START

__all__ = [
    "LARGE_AT_ONCE",
    "START",
    "STREAMS_AT_ONCE",
    "Deadline",
    "Limit",
    "LimitedStore",
    "Pace",
    "Slots",
    "Tries",
    "requested_pause",
]

"""A time in which no request gets an answer, because no connection can be opened."""

import anyio

FIRST_ANSWER = 20.0
"""Seconds to wait for the first answer of an endpoint while no connection can be opened."""
LONGEST_OUTAGE = 300.0
"""Seconds to wait for an endpoint that has answered before."""
NOTICE_AFTER = 3.0
"""Seconds of an outage after which the user is told why nothing happens."""


class Outage:
    """Begins with the last answer before it."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.is_reported = False
        self.over = anyio.Event()

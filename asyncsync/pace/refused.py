"""Whether an answer that refuses one object is about this object, or about the run.

What an endpoint says of one object is the object's matter once it has served anything in this run:
others may well arrive. If it refuses ten objects alike, and serves none between, it would refuse
all others too. Before it has served anything, wrong credentials or a wrong address are the likelier
reason, and the first answer that says so ends the run.
"""

from asyncsync.errors import RefusedError, SourceError

MOST_ALIKE = 10
"""Objects that may be refused alike, one after the other."""


class Refused:
    """The objects that were refused alike since the last one was served."""

    def __init__(self) -> None:
        self.has_served = False
        """Whether the endpoint has served anything in this run, such as a page of the listing."""
        self.keys: set[str] = set()
        self._reason = ""

    def check(self, error: RefusedError) -> None:
        """Count a refused object.

        Raises:
            SourceError: the refusal ends the run.
        """
        of_run = error.of_run
        if not self.has_served and type(of_run) is not SourceError:
            raise of_run from error
        if error.reason != self._reason:
            self._reason = error.reason
            self.keys.clear()
        self.keys.add(error.key)
        if len(self.keys) >= MOST_ALIKE:
            text = f"{of_run}; {MOST_ALIKE} objects in a row were refused like that"
            raise type(of_run)(text) from error

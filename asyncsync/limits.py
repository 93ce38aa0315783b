"""Which objects a run takes by size and age, of those whose keys it selects."""

from dataclasses import dataclass

from asyncsync.model import UNKNOWN_SIZE, RemoteObject


@dataclass(frozen=True, slots=True)
class Limits:
    """The sizes and the times of the objects that a run takes. Each limit is itself within.

    A size or a time that the listing does not tell is within every limit: such an object is told
    of, and not left out in silence.
    """

    smallest: int | None = None
    """Bytes; None for no limit."""
    largest: int | None = None
    oldest_ns: int | None = None
    """LastModified in nanoseconds since the epoch; None for no limit."""
    newest_ns: int | None = None

    def __bool__(self) -> bool:
        """Return whether there is any limit."""
        return self != _NONE

    @property
    def options(self) -> list[str]:
        """The options that set limits."""
        named = {
            "--min-size": self.smallest,
            "--max-size": self.largest,
            "--newer-than": self.oldest_ns,
            "--older-than": self.newest_ns,
        }
        return [option for option, limit in named.items() if limit is not None]

    @property
    def problem(self) -> str:
        """Why no object can be within all limits; empty if one can."""
        if self.smallest is not None and self.largest is not None and self.smallest > self.largest:
            return "min_size: is more than max_size, so that every object would be left out"
        times = (self.oldest_ns, self.newest_ns)
        if times[0] is not None and times[1] is not None and times[0] > times[1]:
            return "newer_than: is later than older_than, so that every object would be left out"
        return ""

    def leave_out(self, remote: RemoteObject) -> bool:
        """Return whether the object is beyond a limit."""
        size, modified_ns = remote.size, remote.modified_ns
        return (
            size != UNKNOWN_SIZE
            and (
                (self.smallest is not None and size < self.smallest)
                or (self.largest is not None and size > self.largest)
            )
        ) or (
            modified_ns != 0
            and (
                (self.oldest_ns is not None and modified_ns < self.oldest_ns)
                or (self.newest_ns is not None and modified_ns > self.newest_ns)
            )
        )


_NONE = Limits()

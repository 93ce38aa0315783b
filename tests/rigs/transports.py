"""A transport without a network."""

import asyncio


class RecordingTransport(asyncio.Transport):
    """Records what is sent through it, whether it is paused, and how it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        """`abort` or `close`, whichever was called first; empty before."""
        self.paused = False

    def write(self, data: object) -> None:
        """Record the bytes."""
        assert isinstance(data, bytes)
        self.sent += data

    def pause_reading(self) -> None:
        """Record it."""
        self.paused = True

    def resume_reading(self) -> None:
        """Record it."""
        self.paused = False

    def abort(self) -> None:
        """Record it."""
        self.ended = self.ended or "abort"

    def close(self) -> None:
        """Record it."""
        self.ended = self.ended or "close"

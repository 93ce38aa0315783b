"""botocore's descriptions of services, read but once: that takes longer than most runs."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore import session


@contextmanager
def read_once() -> Iterator[None]:
    """Let all clients of this process share what describes the service to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", functools.cache(session.create_loader))
        yield

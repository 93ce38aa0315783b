"""`since` was the name of `incremental`; its words go on working, with a note."""

import logging
from collections.abc import Mapping

import pytest

from asyncsync.settings import load
from tests.rigs.environment import REQUIRED


@pytest.mark.parametrize(
    ("environ", "given", "is_incremental", "note"),
    [
        ({}, {}, False, ""),
        ({"INCREMENTAL": "yes"}, {}, True, ""),
        ({}, {"incremental": True}, True, ""),
        ({}, {"since": "auto"}, True, "auto"),
        ({"SINCE": "auto"}, {}, True, "auto"),
        ({"SINCE": "off"}, {}, False, ""),
        ({}, {"since": "off"}, False, ""),
        ({"SINCE": "auto"}, {"since": "off"}, False, "off"),
        ({"INCREMENTAL": "yes"}, {"since": "off"}, False, "off"),
        ({"INCREMENTAL": "no"}, {"since": "auto"}, True, "auto"),
        ({"INCREMENTAL": "no", "SINCE": "auto"}, {}, False, "auto"),
        ({"SINCE": "auto"}, {"incremental": False}, False, "auto"),
        ({"SINCE": "off"}, {"incremental": True}, True, ""),
        ({"SINCE": "auto"}, {"since": "2026-11-01"}, False, ""),
    ],
)
def test_words_of_since_still_say_whether_a_run_is_incremental(
    environ: Mapping[str, str],
    given: Mapping[str, object],
    is_incremental: bool,
    note: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The new name wins in the same place, and arguments win over the environment."""
    with caplog.at_level(logging.WARNING, "asyncsync"):
        variables = {f"ASYNCSYNC_{name}": value for name, value in environ.items()}
        options = load(environ={**REQUIRED, **variables}, given=given)[1]
    assert options.incremental == is_incremental
    assert (options.since is not None) == (given.get("since") == "2026-11-01")
    assert [f"since: {note} " in message for message in caplog.messages] == [True] * bool(note)

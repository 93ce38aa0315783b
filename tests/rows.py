"""Which rows of the table of faults have which tests: `python -m tests.rows`.

A test says so itself with `@pytest.mark.row(n, ...)`. Those that test one module and meet a fault
of the table on the way are named here.
"""

import importlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pytest

ROWS = range(1, 128)

SECTIONS = {
    1: "A. Transport",
    19: "B. HTTP and S3 answers",
    42: "C. Object state",
    61: "D. Listing",
    76: "E. Keys",
    91: "F. Local file system",
    107: "G. Process, terminal, concurrency",
    122: "H. Configuration",
}
"""By their first rows."""

ELSEWHERE: Mapping[str, Mapping[str, Sequence[int]]] = {
    "test_http": {
        "test_cut_body_is_a_lost_connection": (1, 2, 3, 15),
        "test_bytes_beyond_the_body_are_a_protocol_error": (4,),
        "test_silence_is_a_lost_connection": (5, 6),
        "test_silence_on_a_kept_connection_is_not_retried": (6,),
        "test_handshake_that_never_ends_is_cut_off": (6,),
        "test_trickle_is_a_lost_connection": (7,),
        "test_answer_that_is_not_http_is_a_protocol_error": (8,),
        "test_refused_connection_is_lost_and_names_the_address": (9,),
        "test_unknown_name_ends_the_run_and_a_failing_resolver_does_not": (11,),
        "test_name_with_several_addresses_is_connected_to": (12,),
        "test_bad_certificate_is_a_tls_error": (14,),
        "test_server_that_does_not_agree_on_tls_is_a_tls_error": (14,),
        "test_default_context_verifies": (14,),
        "test_tls_body_until_close_needs_a_proper_end": (15,),
        "test_refusing_proxy_ends_the_run": (16,),
        "test_silent_proxy_is_a_lost_connection": (16,),
        "test_stale_connection_is_replaced_silently": (17,),
        "test_stale_connections_are_not_tried_for_ever": (17,),
        "test_redirect_is_returned": (36, 37),
        "test_body_over_the_limit_is_a_protocol_error": (41, 74),
    },
    "test_tls": {"test_server_with_a_bad_certificate_gets_no_request": (14,)},
    "test_pace": {
        "test_retry_after_is_honoured_up_to_a_minute": (20, 21),
        "test_slots_are_halved_once_for_a_burst": (20, 21),
        "test_throttled_run_rests_before_it_doubles_again": (20, 21),
    },
    "test_refusals": {
        "test_answer_about_an_object": (19, 20, 21, 23, 27, 28, 29, 30, 32, 34, 35),
        "test_answer_about_the_listing": (19, 20, 21, 23, 27, 28, 29, 33),
        "test_retry_after_is_seconds_or_a_date": (20,),
        "test_wrong_clock_is_told_with_its_offset": (31,),
        "test_redirect_names_its_target_and_region_and_no_query": (36,),
    },
    "test_s3": {
        "test_redirect_is_not_followed": (36, 37),
        "test_part_that_was_not_asked_for_is_not_taken": (38,),
        "test_whole_object_in_place_of_a_part_is_not_taken": (39,),
        "test_head_without_a_body_is_judged_by_its_status": (40,),
        "test_head_without_a_length_asks_for_the_first_byte": (47,),
        "test_encoding_is_told_and_not_undone": (48,),
        "test_get_without_a_strong_version_names_none": (49, 50),
    },
    "test_pages": {
        "test_document_type_is_refused": (41,),
        "test_time_that_cannot_be_read_is_unknown": (60,),
        "test_size_that_is_no_size_is_not_believed": (56,),
    },
    "test_download": {
        "test_object_arrives_byte_for_byte": (53,),
        "test_parts_of_wrong_lengths_that_add_up_never_publish": (4, 38),
        "test_object_replaced_between_two_parts_is_not_mixed": (42, 43),
        "test_object_replaced_after_its_last_byte_is_noticed": (45,),
    },
}
"""By module and test."""


def misnamed() -> Iterator[str]:
    """Yield the tests that are named here and do not exist."""
    for module, tests in ELSEWHERE.items():
        found = importlib.import_module(f"tests.{module}")
        yield from (f"{module}::{test}" for test in tests if not hasattr(found, test))


class _Collected:
    """A plugin of pytest that takes note of the markers; a parametrized test counts once."""

    def __init__(self) -> None:
        self.tests: defaultdict[int, dict[str, None]] = defaultdict(dict)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Read the markers of all tests."""
        for item in session.items:
            name = item.nodeid.partition("[")[0].removeprefix("tests/")
            for marker in item.iter_markers("row"):
                for row in marker.args:
                    self.tests[row][name] = None


def main() -> int:
    """Print the rows with their tests, and those that have none."""
    collected = _Collected()
    code = pytest.main(["--collect-only", "-qq", "--no-summary", "tests"], [collected])
    if code != pytest.ExitCode.OK:
        return int(code)
    for module, tests in ELSEWHERE.items():
        for test, rows in tests.items():
            for row in rows:
                collected.tests[row][f"{module}.py::{test}"] = None
    print("\n| row | tests |\n|---|---|")
    for row in ROWS:
        if row in SECTIONS:
            print(f"| | **{SECTIONS[row]}** |")
        print(f"| {row} | {'<br>'.join(collected.tests[row]) or 'none'} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

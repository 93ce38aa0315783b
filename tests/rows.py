"""Which rows of the table of faults have which tests: `python -m tests.rows`.

A test says so itself with `@pytest.mark.row(n, ...)`. Those that test one module and meet a fault
of the table on the way are named here. `python -m tests.rows --write` puts the names into the last
column of the table in docs/reliability.md, where the faults are described.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROWS = range(1, 128)

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "reliability.md"

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
        "test_throttled_run_gets_a_quarter_more_at_a_time": (20, 21),
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
        "test_missing_size_is_unknown": (56,),
    },
    "test_settings": {
        "test_missing_variable_is_named": (122,),
        "test_missing_env_file_is_told_when_something_is_not_set": (122,),
        "test_env_file_is_read_literally": (123,),
        "test_stray_character_is_reported_without_the_value": (123,),
        "test_env_file_that_others_reach_is_warned_of_or_refused": (124,),
        "test_env_file_of_a_parent_folder_is_not_read": (125,),
        "test_odd_endpoint_is_refused": (126,),
        "test_user_and_password_in_the_endpoint_are_never_shown": (126,),
        "test_bad_bucket_name_is_refused": (127,),
        "test_bad_option_is_refused": (127,),
        "test_empty_destination_is_refused": (127,),
    },
    "test_cli": {
        "test_missing_setting_is_2": (122,),
        "test_bad_argument_is_2": (127,),
    },
    "test_download": {
        "test_object_arrives_byte_for_byte": (53,),
        "test_parts_of_wrong_lengths_that_add_up_never_publish": (4, 38),
        "test_object_replaced_between_two_parts_is_not_mixed": (42, 43),
        "test_object_replaced_after_its_last_byte_is_noticed": (45,),
    },
}
"""By module and test."""


def tests_of_rows() -> dict[int, list[str]]:
    """Return the names of each row's tests, read from the source of all tests."""
    found = defaultdict(list)
    for module in sorted(TESTS.glob("test_*.py")):
        for test, rows in _marked(module):
            for row in rows:
                found[row].append(f"{module.stem}::{test}")
    for name, tests in ELSEWHERE.items():
        for test, numbers in tests.items():
            for row in numbers:
                found[row].append(f"{name}::{test}")
    return {row: list(dict.fromkeys(found[row])) for row in ROWS}


def misnamed() -> list[str]:
    """Return the tests that are named here and do not exist."""
    named = {module: {test for test, _ in _marked(TESTS / f"{module}.py")} for module in ELSEWHERE}
    return [f"{m}::{t}" for m, tests in ELSEWHERE.items() for t in tests if t not in named[m]]


def _marked(module: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield the tests of a module, and the rows that their decorators name."""
    for test in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        marks = (mark for decorator in test.decorator_list for mark in ast.walk(decorator))
        yield (
            test.name,
            [
                int(ast.literal_eval(argument))
                for mark in marks
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row"
                for argument in mark.args
            ],
        )


def written(document: str) -> str:
    """Return the document with the names of the tests in the last column of the table of faults.

    A row without a test keeps what stands there, which is why it has none.
    """
    tests = tests_of_rows()

    def with_names(line: re.Match[str]) -> str:
        names = "<br>".join(f"`{name}`" for name in tests[int(line["row"])])
        return f"{line['start']} {names or line['last']} |"

    line = r"^(?P<start>\| (?P<row>\d+) \|[^|]*\|[^|]*\|) (?P<last>[^|]*) \|$"
    return re.sub(line, with_names, document, flags=re.MULTILINE)


def main() -> None:
    """Print the rows with their tests, or put these into the document."""
    if "--write" in sys.argv:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
        return
    for row, names in tests_of_rows().items():
        print(f"{row:3}  {', '.join(names) or 'none'}")


if __name__ == "__main__":
    main()

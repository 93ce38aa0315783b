"""What a reporter of crashes shows of an error: the local variables of all its frames."""

import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

TESTS = str(Path(__file__).parents[1])


def locals_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield where each variable is, and its `repr`: as `TracebackException(capture_locals=True)`.

    That is in all frames of the error, and of those behind it, also of the libraries; but not in
    those of the tests, which know all secrets.
    """
    errors, seen = [error], {id(error)}
    while errors:
        error = errors.pop()
        yield "message", f"{error} {error!r}"
        for frame, line in traceback.walk_tb(error.__traceback__):
            file = frame.f_code.co_filename
            for name, value in () if file.startswith(TESTS) else frame.f_locals.items():
                with suppress(Exception):  # what is not made yet may have no repr
                    yield f"{Path(file).name}:{line}, {frame.f_code.co_name}, {name}", repr(value)
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        for behind in (error.__cause__, error.__context__, *inner):
            if behind is not None and id(behind) not in seen:
                seen.add(id(behind))
                errors.append(behind)

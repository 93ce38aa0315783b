"""`asyncsync doctor`: tries each thing that a run needs, and says what is wrong and how to fix it.

Read `doctor.py` first: it has the list of checks. `bucket_checks.py` has the checks of the remote
side, `folder_checks.py` those of the destination, and `plan_check.py` makes the plan of a sync.

A check repairs nothing, and has no logic of its own for what a run does: it calls the same code.
"""

from asyncsync.doctor.doctor import examine, format_finding, verdict_line

__all__ = ["examine", "format_finding", "verdict_line"]

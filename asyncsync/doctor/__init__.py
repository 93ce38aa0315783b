"""`asyncsync doctor`: tries each thing a run needs, and says what is wrong and how to fix it.

Read `doctor.py` first: it has the checks in their order. `bucket_checks.py` has those of the remote
side, `folder_checks.py` those of the destination.

A check never repairs anything, and uses the same code as a run does to find out.
"""

from asyncsync.doctor.doctor import examine, format_finding

__all__ = ["examine", "format_finding"]

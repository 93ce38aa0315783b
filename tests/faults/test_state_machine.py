"""Random sequences of changes, faults and runs; `make soak` runs more of them."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.rigs.state_machine import Sync

SEQUENCES = 200
STEPS = 12


@pytest.mark.row(34, 42, 71, 107, 118, 119)
def test_anything_may_happen_in_any_order() -> None:
    """Objects change, requests fail, runs are killed, and files are changed by others."""
    run_state_machine_as_test(
        Sync,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

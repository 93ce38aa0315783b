"""What is read back from files to be hashed."""

from collections.abc import Sequence

import pytest

from asyncsync.download.proof import Prover, _Hash


def record_hashing(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the bytes of each step that is read from a file and hashed."""
    steps: list[int] = []
    really = Prover._hash

    def hash_(prover: Prover, hashes: Sequence[_Hash], span: range) -> None:
        steps.append(len(span))
        really(prover, hashes, span)

    monkeypatch.setattr(Prover, "_hash", hash_)
    return steps

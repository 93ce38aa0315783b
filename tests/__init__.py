"""The tests, in folders as the package has them; what they need is in `rigs`."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The folder of the project."""

"""`python -m asyncsync` is the command line."""

import sys

from asyncsync.cli import main

if __name__ == "__main__":
    sys.exit(main())

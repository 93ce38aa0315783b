"""`asyncsync demo`: a local S3 server with sample data, and a real sync from it.

Read `demo.py` first. `seaweed.py` starts and stops the server, also for tests and benchmarks.

A sync never needs anything from here: it all comes with the extra `demo`.
"""

from asyncsync.demo.demo import run_demo
from asyncsync.demo.seaweed import SeaweedServer, serve

__all__ = ["SeaweedServer", "run_demo", "serve"]

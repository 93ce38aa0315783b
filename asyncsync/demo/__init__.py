"""`asyncsync demo`: a local S3 server with sample data, and a real sync from it.

Read `demo.py` first. `seaweed.py` starts and stops the server, also for tests and benchmarks;
`certificate.py` keeps other users away from its internal ports.

No other command needs this room or the packages of its extra, `demo`.
"""

from asyncsync.demo.demo import run_demo
from asyncsync.demo.seaweed import SeaweedServer, serve

__all__ = ["SeaweedServer", "run_demo", "serve"]

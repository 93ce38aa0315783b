"""The notebook that asyncsync replaces: one object at a time, on boto3.

    python -m benchmarks.baseline BUCKET DIRECTORY [MOST]

Folder after folder: list what is local, list what is remote, take the difference. Then file after
file: fetch it, HEAD it, compare the sizes. Unlike the notebook it pages through all listings and
keeps nested keys apart, or its result could not be compared. With MOST it stops after an even
sample of so many files, and the last line it prints says how long the rest would have taken.
Credentials and endpoint come from the AWS_ variables.
"""

import sys
import time
from pathlib import Path

import boto3
from botocore.client import BaseClient


def remote_files(client: BaseClient, bucket: str, prefix: str) -> set[str]:
    """Return the keys below `prefix`, without folder markers."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = {item["Key"] for page in pages for item in page.get("Contents", [])}
    return {key for key in keys if not key.endswith("/")}


def plan(client: BaseClient, bucket: str, directory: Path) -> list[str]:
    """Return the missing keys, folder after folder."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/")
    prefixes = [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]
    missing: list[str] = []
    print("sync check started")
    for prefix in prefixes:
        folder = directory / prefix
        folder.mkdir(parents=True, exist_ok=True)
        local = {path.relative_to(directory).as_posix() for path in folder.rglob("*.parquet")}
        remote = remote_files(client, bucket, prefix)
        absent = sorted(remote - local)
        print(f"{prefix}: {len(local)} local, {len(remote)} in the bucket, {len(absent)} missing")
        missing += absent
    print("sync check complete")
    return missing


def download(client: BaseClient, bucket: str, key: str, path: Path) -> None:
    """Fetch one object to its place, then compare its size with what HEAD says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(bucket, key, str(path))
    expected = client.head_object(Bucket=bucket, Key=key)["ContentLength"]
    actual = path.stat().st_size
    print(f"{key}: {'OK' if actual == expected else f'SIZE MISMATCH {actual} {expected}'}")


def main() -> None:
    """Sync one bucket."""
    bucket, directory = sys.argv[1], Path(sys.argv[2])
    client = boto3.client("s3")
    missing = plan(client, bucket, directory)
    most = int(sys.argv[3]) if len(sys.argv) > 3 else len(missing)
    sample = missing[:: -(-len(missing) // most)] if most < len(missing) else missing
    started = time.monotonic()
    for key in sample:
        download(client, bucket, key, directory / key)
    seconds = time.monotonic() - started
    left = len(missing) - len(sample)
    print(f"left {left} files {seconds / max(1, len(sample)) * left} seconds")


if __name__ == "__main__":
    main()

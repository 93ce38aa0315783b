"""A bucket of a test's own on the real server, filled and looked at with boto3."""

import functools
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import quote

import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import BaseClient
from botocore.credentials import Credentials

from asyncsync.demo.seaweed import SeaweedServer

_THREADS = 8
_AGAIN = urllib3.Retry(
    5, backoff_factor=0.1, status_forcelist=[500, 503], allowed_methods=None, raise_on_status=False
)


class Bucket:
    """An existing bucket; `server` says where it is and how to get in."""

    def __init__(self, server: SeaweedServer, client: BaseClient) -> None:
        self.server = server
        self._client = client

    def put(
        self,
        key: str,
        data: bytes = b"",
        *,
        encoding: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Store an object with one request and return its ETag without the quotes."""
        answer = self._client.put_object(
            Bucket=self.server.bucket,
            Key=key,
            Body=data,
            ContentEncoding=encoding,
            Metadata=metadata or {},
        )
        return str(answer["ETag"]).strip('"')

    def put_many(self, objects: Mapping[str, bytes]) -> None:
        """Store many objects at the same time, with plain signed requests: a third of the time.

        rclone answers 500 when two objects make the same folder at once, so a failure of the
        server is tried again.
        """
        server = self.server
        credentials = Credentials(server.access_key_id, server.secret_access_key)
        signer = S3SigV4Auth(credentials, "s3", "auto")
        with (
            urllib3.PoolManager(maxsize=_THREADS, retries=_AGAIN) as pool,
            ThreadPoolExecutor(_THREADS) as threads,
        ):

            def put(key: str, data: bytes) -> None:
                url = f"{server.endpoint_url}/{server.bucket}/{quote(key, safe='/~')}"
                request = AWSRequest("PUT", url, data=data)
                signer.add_auth(request)
                answer = pool.request("PUT", url, body=data, headers=dict(request.headers.items()))
                assert answer.status == 200, f"{key}: status {answer.status}"

            list(threads.map(put, objects.keys(), objects.values()))

    def multipart(self, key: str, data: bytes, part_size: int) -> str:
        """Store an object in parts of `part_size` bytes and return its ETag without the quotes."""
        where = {"Bucket": self.server.bucket, "Key": key}
        upload = where | {"UploadId": self._client.create_multipart_upload(**where)["UploadId"]}
        parts = []
        for number, start in enumerate(range(0, len(data), part_size), start=1):
            part = data[start : start + part_size]
            answer = self._client.upload_part(**upload, PartNumber=number, Body=part)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        answer = self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        return str(answer["ETag"]).strip('"')

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        answer = self._client.get_object(Bucket=self.server.bucket, Key=key)
        return bytes(answer["Body"].read())

    def delete(self, key: str) -> None:
        """Delete an object."""
        self._client.delete_object(Bucket=self.server.bucket, Key=key)

    def keys(self) -> list[str]:
        """Return all keys in the bucket's order."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.server.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@functools.cache
def client_of(server: SeaweedServer) -> BaseClient:
    """Return the one client for all buckets of a server: making one takes longer than a test."""
    return server.client()


@contextmanager
def new_bucket(server: SeaweedServer) -> Iterator[Bucket]:
    """Make an empty bucket with a name of its own, and delete it with all it holds afterwards."""
    bucket = made_bucket(server)
    try:
        yield bucket
    finally:  # this server deletes full buckets as well
        client_of(server).delete_bucket(Bucket=bucket.server.bucket)


def made_bucket(server: SeaweedServer) -> Bucket:
    """Make an empty bucket with a name of its own, in the region that requests are signed for."""
    name = f"test-{secrets.token_hex(6)}"
    client = client_of(server)
    client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": client.meta.region_name}
    )
    return Bucket(replace(server, bucket=name), client)

"""Services by their hosts: which buckets they have, and where requests for one go."""

import pytest

from asyncsync.model import Addressing, Settings
from asyncsync.services import (
    Address,
    address_of,
    bucket_problem,
    endpoint_in,
    is_aws,
    region_in,
    region_of,
    virtual_problem,
)

R2 = "account.eu.r2.cloudflarestorage.com"
AWS = "s3.eu-central-1.amazonaws.com"


@pytest.mark.row(144)
@pytest.mark.parametrize(
    ("host", "bucket", "is_one"),
    [
        (R2, "sensor-data", True),
        (R2, "sensor.data", False),
        (R2, "my_bucket", False),
        (R2, "ab", False),
        (AWS, "sensor.data", True),
        (AWS, "Old_Bucket", True),
        (AWS, "tenant:bucket", False),
        (AWS, "a" * 256, False),
        (AWS, "a/b", False),
        ("minio.example", "my_bucket", True),
        ("minio.example", "tenant:bucket", True),
        ("minio.example", "A", True),
        ("minio.example", "b\u00fccket", True),
        ("minio.example", "a b", True),
        ("minio.example", "a/b", False),
        ("minio.example", ".", False),
        ("minio.example", "..", False),
        ("minio.example", "a\nb", False),
        ("minio.example", "a\u200bb", False),
        ("minio.example", "a\udcffb", False),
    ],
)
def test_names_of_buckets_are_those_of_the_service(host: str, bucket: str, is_one: bool) -> None:
    """R2's and AWS's rules are known; at any other host it is what a path can hold."""
    assert (bucket_problem(host, bucket) == "") == is_one


@pytest.mark.row(144)
@pytest.mark.parametrize(
    ("endpoint_url", "bucket", "addressing", "origin", "path"),
    [
        (f"https://{R2}", "sensors", "auto", f"https://{R2}", "/sensors"),
        (f"https://{R2}", "sensors", "virtual", f"https://sensors.{R2}", ""),
        (f"https://{AWS}", "sensors", "auto", f"https://sensors.{AWS}", ""),
        (f"https://{AWS}:444", "sensors", "auto", f"https://sensors.{AWS}:444", ""),
        (f"https://{AWS}", "sensors", "path", f"https://{AWS}", "/sensors"),
        (f"https://{AWS}", "my.sensors", "auto", f"https://{AWS}", "/my.sensors"),
        (f"https://{AWS}", "Old_Bucket", "auto", f"https://{AWS}", "/Old_Bucket"),
        ("https://h.example", "tenant:b", "auto", "https://h.example", "/tenant%3Ab"),
        ("https://h.example", "b\u00fc b", "auto", "https://h.example", "/b%C3%BC%20b"),
        ("https://h.example/s/v1", "b_b", "auto", "https://h.example", "/s/v1/b_b"),
        ("https://h.example/s/v1", "b-b", "virtual", "https://b-b.h.example", "/s/v1"),
    ],
)
def test_bucket_is_named_by_the_path_or_by_the_host(
    endpoint_url: str, bucket: str, addressing: str, origin: str, path: str
) -> None:
    """By the host where it is AWS's, unless its certificate would not do, or where it is asked."""
    settings = Settings("id", "key", endpoint_url, bucket, addressing=Addressing(addressing))
    assert address_of(settings) == Address(origin, path)


@pytest.mark.parametrize(
    ("host", "bucket", "is_possible"),
    [
        ("h.example", "sensors", True),
        ("h.example", "my.sensors", True),
        ("h.example", "my_sensors", False),
        ("h.example", "-sensors", False),
        ("h.example", "a..b", False),
        ("127.0.0.1", "sensors", False),
        ("::1", "sensors", False),
    ],
)
def test_not_every_host_can_have_the_bucket_in_front(
    host: str, bucket: str, is_possible: bool
) -> None:
    """An address has no names below it, and not every bucket's name can be one."""
    assert (virtual_problem(host, bucket) == "") == is_possible


@pytest.mark.row(137)
@pytest.mark.parametrize(
    ("endpoint", "there"),
    [
        ("https://s3.us-east-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.amazonaws.com:444", "https://s3.eu-west-1.amazonaws.com:444"),
        ("https://s3-us-west-2.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "https://s3.eu-west-1.amazonaws.com.cn"),
        (
            "https://s3.dualstack.us-east-1.amazonaws.com",
            "https://s3.dualstack.eu-west-1.amazonaws.com",
        ),
        (
            "https://s3-fips.dualstack.us-gov-west-1.amazonaws.com",
            "https://s3-fips.dualstack.eu-west-1.amazonaws.com",
        ),
        ("https://s3-accelerate.amazonaws.com", "https://s3-accelerate.amazonaws.com"),
        ("https://minio.example", ""),
        ("https://s3.us-east-1.amazonaws.com.example", ""),
    ],
)
def test_endpoint_of_another_region_is_of_the_same_form(endpoint: str, there: str) -> None:
    """Only AWS is known to have a host for each region."""
    assert endpoint_in("eu-west-1", endpoint) == there


@pytest.mark.row(137)
@pytest.mark.parametrize(
    "region", ["", "x", "evil.example/", "eu-west-1.evil.example", "eu-west-1@evil", "compute-1"]
)
def test_nothing_leads_out_of_the_service(region: str) -> None:
    """What is not the name of a region makes no host."""
    assert endpoint_in(region, "https://s3.us-east-1.amazonaws.com") == ""


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("s3.amazonaws.com", "us-east-1"),
        ("sensors.s3-ap-northeast-1.amazonaws.com", "ap-northeast-1"),
        ("my.sensors.s3.amazonaws.com", "us-east-1"),
        ("evils3.eu-west-1.amazonaws.com", ""),
        ("s3.eu-west-1.amazonaws.com.evil.example", ""),
        ("ec2-1-2-3-4.compute-1.amazonaws.com", ""),
        ("", ""),
    ],
)
def test_region_is_in_the_name_of_a_host(host: str, region: str) -> None:
    """A bucket's host has it as well; without one, it is the first that there was."""
    assert region_in(host) == region
    assert region_of(f"https://{host}") == (region if is_aws(host) else "")

"""Makes the `Settings` of a run from what is set: R2's variables, or AWS's own settings."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from asyncsync.errors import ConfigError
from asyncsync.model import Addressing, Names, Settings
from asyncsync.secret import Secret
from asyncsync.services import aws_endpoint, bucket_problem, region_of, virtual_problem
from asyncsync.settings.endpoint import endpoint
from asyncsync.settings.envfile import CREATE_HINT, EnvFile
from asyncsync.settings.options import Options
from asyncsync.settings.sources import (
    PLACE,
    UNSET,
    VARIABLES,
    open_aws,
    refuse_quotes,
)

_OPTIONAL = {"session_token", "region"}
_TO_SIGN_WITH = {"access_key_id", "secret_access_key", "session_token"}
_AWS_REGION = "us-east-1"
"""Where AWS's settings name none, as for other programs that read them."""
_REGION = re.compile(r"(?!\d+$)[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?")  # a DNS label


def own_settings(
    values: Mapping[str, Secret],
    chosen: Mapping[str, Secret],
    names: Mapping[str, str],
    options: Options,
    file: EnvFile,
) -> Settings:
    """Return what R2's variables say, and arguments in their place, which have names."""
    needless = set() if options.sign_request else _TO_SIGN_WITH
    set_ones = {
        name: UNSET if name in needless else values.get(variable, UNSET)
        for name, variable in VARIABLES.items()
    }
    given = {name: chosen[name] for name in PLACE if name in chosen}
    set_ones |= given
    found = {name: value.strip() for name, value in set_ones.items() if value.strip()}
    missing = [
        variable
        for name, variable in VARIABLES.items()
        if name not in found and name not in _OPTIONAL | needless
    ]
    if missing:
        hint = "" if file.exists else f"; there is no such file here: {CREATE_HINT}"
        if not found:
            hint += "; to use AWS's settings instead, name a bucket with --bucket"
        where = f"in the environment or in {file.path}"
        listed = ", ".join(missing)
        raise ConfigError(
            f"{listed}: not set; set it {where}{hint}"
            if len(missing) == 1
            else f"{len(missing)} settings are missing; set them {where}: {listed}{hint}"
        )
    called = VARIABLES | {name: names[name] for name in given}
    cut = UNSET if "endpoint_url" in given else values.get("R2_BUCKET", UNSET).strip()
    return _checked(found, Names(**called), options, "auto", cut)


def aws_settings(
    chosen: Mapping[str, Secret],
    names: Mapping[str, str],
    options: Options,
    reload: Callable[[], Settings],
) -> Settings:
    """Return what an argument says of the bucket, and AWS's settings of the rest.

    Raises:
        ConfigError, AuthError: as for `Aws` and its credentials.
    """
    if "bucket" not in chosen:
        raise ConfigError("--bucket: not given; name the bucket, as AWS's settings name none")
    aws = open_aws(chosen)
    found = {name: chosen[name] for name in PLACE if name in chosen}
    called = dict(names)
    for name in ("endpoint_url", "region"):
        if name not in found and (own := getattr(aws.place, name)):
            found[name], called[name] = own.value, own.called
    settings = _checked(found, Names(**called), options, _AWS_REGION)
    if not options.sign_request:
        return settings
    aws.use_region(settings.region)
    credentials, place = aws.credentials(), aws.credentials_place
    all_names = Names(**called, **_names_of_credentials(place))
    refuse_quotes(all_names.access_key_id, Secret(credentials.access_key_id))
    refuse_quotes(all_names.secret_access_key, credentials.secret_access_key)
    refuse_quotes(all_names.session_token, credentials.session_token)
    return replace(
        settings,
        access_key_id=credentials.access_key_id,
        secret_access_key=credentials.secret_access_key,
        session_token=credentials.session_token,
        reload=None if aws.place.asks else reload,
        renew=aws.credentials if aws.expires and not aws.place.asks else None,
        credentials_place=place,
        names=all_names,
    )


def _names_of_credentials(place: str) -> dict[str, str]:
    if place == "the environment":
        return {name: f"AWS_{name.upper()}" for name in _TO_SIGN_WITH}
    return {
        "access_key_id": "the access key ID",
        "secret_access_key": f"the secret access key of {place}",
        "session_token": f"the session token of {place}",
    }


def _checked(
    found: dict[str, Secret],
    names: Names,
    options: Options,
    default_region: str,
    cut: Secret = UNSET,
) -> Settings:
    """Return settings whose form is right; another bucket's name is cut from the endpoint."""
    for name, value in found.items():
        refuse_quotes(getattr(names, name), value)
        if name != "bucket" and not value.is_visible:
            raise ConfigError(
                f"{getattr(names, name)}: has characters other than visible ASCII; copy it again"
            )
    if not _REGION.fullmatch(found.get("region", Secret(default_region)).reveal()):
        raise ConfigError(
            f"{names.region}: not a valid region name (letters, digits, '-'), such as auto"
        )
    region, bucket = found.get("region", UNSET).reveal(), found["bucket"]
    endpoint_url = aws_endpoint(region or default_region)
    if "endpoint_url" in found:
        endpoint_url = endpoint(
            found["endpoint_url"], cut or bucket, names.endpoint_url, allow_http=options.allow_http
        )
    host = urlsplit(endpoint_url).hostname or ""
    if problem := bucket_problem(host, bucket.reveal()):
        raise ConfigError(f"{names.bucket}: not the name of a bucket: {problem}")
    problem = virtual_problem(host, bucket.reveal())
    if problem and options.addressing is Addressing.VIRTUAL:
        raise ConfigError(f"addressing: virtual is not possible: {problem}")
    return Settings(
        found.get("access_key_id", UNSET).reveal(),
        found.get("secret_access_key", UNSET),
        endpoint_url,
        bucket.reveal(),
        found.get("session_token", UNSET),
        region or region_of(endpoint_url) or default_region,
        options.addressing,
        options.request_payer,
        names=names,
    )

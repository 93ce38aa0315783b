"""AWS's settings: read where there are none of R2's, and named in every message."""

import hashlib
import json
import logging
from pathlib import Path

import pytest
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES
from botocore.credentials import AssumeRoleProvider
from botocore.tokens import SSOTokenProvider

from asyncsync.errors import AuthError, ConfigError
from asyncsync.model import Settings
from asyncsync.secret import Secret
from asyncsync.settings import load, origins
from tests.rigs.environment import REQUIRED
from tests.rigs.frames import locals_of
from tests.rigs.provider import (
    SECRET,
    TOKEN,
    Asked,
    in_minutes,
    of_container,
    of_role,
    of_sso,
    provides,
)
from tests.rigs.scripted import Authority

KEYS = {"AWS_ACCESS_KEY_ID": "OFENV", "AWS_SECRET_ACCESS_KEY": SECRET}
NONSENSE = sorted(
    {
        *("AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID"),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_FILE", "BOTO_CONFIG"),
        *(
            name
            for _, names, _, _ in BOTOCORE_DEFAUT_SESSION_VARIABLES.values()
            for name in ([names] if isinstance(names, str) else names or ())
        ),
    }
)
"""The variables that botocore reads."""


def settings(bucket: str | None = "sensors", **given: object) -> Settings:
    return load(given={"bucket": bucket, **given})[0]


def write(name: str, *lines: str) -> Path:
    """Write a file below `~/.aws`, which only this user can read."""
    file = Path.home() / ".aws" / name
    file.parent.mkdir(exist_ok=True)
    file.touch(mode=0o600)
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment, with the credentials of AWS's variables."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


# when they are read -----------------------------------------------------------------------------


def test_a_bucket_is_all_that_is_needed_beside_variables_of_aws(
    environ: pytest.MonkeyPatch,
) -> None:
    """The endpoint is AWS's, in the region that other programs take."""
    environ.setenv("AWS_SESSION_TOKEN", TOKEN)
    found = settings()
    url = "https://s3.us-east-1.amazonaws.com"
    assert found == Settings("OFENV", SECRET, url, "sensors", TOKEN, "us-east-1")
    assert found.renew is None


def test_a_run_with_a_variable_of_r2s_reads_nothing_of_aws(environ: pytest.MonkeyPatch) -> None:
    """Whatever AWS's variables and files say, nonsense included; the arguments win."""
    environ.setenv("AWS_PROFILE", "nobody")
    environ.setenv("AWS_ENDPOINT_URL", "nonsense")
    write("config", "nonsense")
    found, _ = load(environ=REQUIRED, given={"bucket": "other", "region": "eu"})
    assert (found.access_key_id, found.bucket, found.region) == ("AKID", "other", "eu")
    other = "https://storage.example:9000"
    assert load(environ=REQUIRED, given={"endpoint_url": other})[0].endpoint_url == other


@pytest.mark.parametrize("name", [*REQUIRED, "R2_REGION"])
@pytest.mark.parametrize("is_in_file", [False, True])
def test_one_variable_of_r2s_is_enough_for_that(
    name: str, is_in_file: bool, environ: pytest.MonkeyPatch
) -> None:
    """So that a half-filled env file never leads to other credentials; the rest is missed."""
    if is_in_file:
        Path(".env").touch(mode=0o600)
        Path(".env").write_text(f"{name}=eu-central-1\n")
    else:
        environ.setenv(name, "eu-central-1")
    with pytest.raises(ConfigError, match=r"settings are missing; .*: R2_\w+"):
        settings()


def test_profile_beside_variables_of_r2s_is_refused() -> None:
    """It would have no effect."""
    with pytest.raises(ConfigError, match=r"--profile: R2_\.\.\. variables are set; unset"):
        load(environ=REQUIRED, given={"profile": "data"})


def test_missing_bucket_is_told_before_anything_is_read(environ: pytest.MonkeyPatch) -> None:
    """With a profile, as what AWS's settings lack; without one, with the other way to set it."""
    with pytest.raises(ConfigError, match=r"--bucket: not given"):
        settings(None, profile="nobody")
    with pytest.raises(ConfigError, match=r"R2_BUCKET; .* a bucket with --bucket"):
        settings(None)


@pytest.mark.parametrize("name", ["bucket", "endpoint_url", "region", "profile"])
def test_empty_argument_is_refused(name: str) -> None:
    """As from a variable of a shell that is not set."""
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}: is empty"):
        load(environ={}, given={name: " "})


# endpoint and region ----------------------------------------------------------------------------

PROFILES = (
    *("[profile data]", "aws_access_key_id = OFDATA", f"aws_secret_access_key = {SECRET}"),
    *("region = eu-west-1", "endpoint_url = https://profile.example"),
    *("[profile served]", "aws_access_key_id = OFSERVED", f"aws_secret_access_key = {SECRET}"),
    *("services = mine", "endpoint_url = https://profile.example"),
    *("[services mine]", "s3 =", "  endpoint_url = https://services.example"),
)


@pytest.mark.parametrize(
    ("variables", "given", "endpoint", "region"),
    [
        ({}, {}, "https://s3.us-east-1.amazonaws.com", "us-east-1"),
        ({"AWS_REGION": "eu-north-1"}, {}, "https://s3.eu-north-1.amazonaws.com", "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, {}, "https://s3.cn-north-1.amazonaws.com.cn", ""),
        ({"AWS_DEFAULT_REGION": "a", "AWS_REGION": "b"}, {}, "https://s3.b.amazonaws.com", "b"),
        ({"AWS_REGION": "a"}, {"region": "b"}, "https://s3.b.amazonaws.com", "b"),
        ({"AWS_ENDPOINT_URL": "https://all"}, {}, "https://all", "us-east-1"),
        (
            {"AWS_ENDPOINT_URL": "https://all", "AWS_ENDPOINT_URL_S3": "https://s3"},
            {},
            "https://s3",
            "",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "https://s3"},
            {"endpoint_url": "https://given"},
            "https://given",
            "",
        ),
        ({"AWS_PROFILE": "data"}, {}, "https://profile.example", "eu-west-1"),
        ({"AWS_PROFILE": "data", "AWS_REGION": "a"}, {}, "https://profile.example", "a"),
        ({"AWS_ENDPOINT_URL": "https://all"}, {"profile": "data"}, "https://all", "eu-west-1"),
        ({}, {"profile": "served"}, "https://services.example", "us-east-1"),
        (
            {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_ENDPOINT_URL": "https://all"},
            {"profile": "data"},
            "https://s3.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
    ],
)
def test_first_place_that_names_endpoint_or_region_wins(
    variables: dict[str, str],
    given: dict[str, str],
    endpoint: str,
    region: str,
    environ: pytest.MonkeyPatch,
) -> None:
    """An argument, a variable of S3, one of all services, the profile's services, the profile."""
    write("config", *PROFILES)
    for name, value in variables.items():
        environ.setenv(name, value)
    found = settings(**given)
    assert (found.endpoint_url, region or found.region) == (endpoint, found.region)


@pytest.mark.parametrize(
    ("variables", "given", "why"),
    [
        ({"AWS_ENDPOINT_URL": "host"}, {}, "AWS_ENDPOINT_URL: has no scheme"),
        ({"AWS_ENDPOINT_URL": "https://a:hunter2@b"}, {}, "AWS_ENDPOINT_URL: has a user name"),
        ({}, {"endpoint_url": "host"}, "--endpoint-url: has no scheme"),
        ({"AWS_REGION": "e u"}, {}, "AWS_REGION: has characters other than"),
        ({"AWS_REGION": "e_u"}, {}, "AWS_REGION: not a valid region name"),
        ({}, {"region": "e_u"}, "--region: not a valid region name"),
        ({}, {"bucket": "a/b"}, "--bucket: not the name of a bucket"),
    ],
)
def test_odd_setting_is_called_by_its_name(
    variables: dict[str, str], given: dict[str, str], why: str, environ: pytest.MonkeyPatch
) -> None:
    """The option's or AWS's, so that the reader knows where to mend it; values are not shown."""
    for name, value in variables.items():
        environ.setenv(name, value)
    with pytest.raises(ConfigError, match=why) as caught:
        load(given={"bucket": "sensors", **given})
    assert "hunter2" not in str(caught.value)


# credentials ------------------------------------------------------------------------------------


def test_quotes_in_a_profile_are_named() -> None:
    """AWS's files have none."""
    write("credentials", "[default]", 'aws_access_key_id = "OFFILE"', "aws_secret_access_key = k")
    with pytest.raises(ConfigError, match="the access key ID: there are quotes"):
        settings()


def test_profile_that_is_asked_for_beats_variables(environ: pytest.MonkeyPatch) -> None:
    """AWS_PROFILE does not, as for other programs."""
    write(
        "credentials", "[data]", "aws_access_key_id = OFDATA", f"aws_secret_access_key = {SECRET}"
    )
    found = settings(profile="data")
    assert found.access_key_id == "OFDATA"
    assert found.credentials_place == "profile data (shared-credentials-file)"
    environ.setenv("AWS_PROFILE", "data")
    assert settings().access_key_id == "OFENV"
    environ.delenv("AWS_ACCESS_KEY_ID")
    assert settings().access_key_id == "OFDATA"


def test_credentials_of_a_program() -> None:
    """One that `credential_process` names, as of a vault."""
    answer = {
        "Version": 1,
        "AccessKeyId": "OFPROGRAM",
        "SecretAccessKey": SECRET,
        "SessionToken": TOKEN,
        "Expiration": in_minutes(60),
    }
    Path("answer.json").write_text(json.dumps(answer))
    write("config", "[default]", f"credential_process = cat {Path('answer.json').absolute()}")
    found = settings()
    assert (found.access_key_id, found.session_token) == ("OFPROGRAM", Secret(TOKEN))
    assert found.renew is not None


def test_credentials_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for again as soon as they expire within some minutes, as these do."""
    names = iter(["FIRST", "SECOND", "THIRD"])
    with provides(lambda asked: of_container(next(names), minutes=5)) as provider:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{provider.endpoint}/role")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-container's")
        found = settings()
        assert (found.access_key_id, found.session_token) == ("SECOND", Secret(TOKEN))
        assert found.credentials_place == "this machine's role (container-role)"
        assert found.renew is not None
        assert found.renew().access_key_id == "THIRD"
    assert [(r.path, r.headers["authorization"]) for r in provider.asked] == [
        ("/role", "the-container's")
    ] * 3


def test_credentials_of_an_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for with a token, when nothing else has any."""
    path = "/latest/meta-data/iam/security-credentials/"

    def answer(asked: Asked) -> bytes | None:
        known = {
            "/latest/api/token": b"its-token",
            path: b"reader",
            f"{path}reader": of_container(),
        }
        has_token = asked.headers.get("x-aws-ec2-metadata-token") == "its-token"
        return known[asked.path] if has_token or asked.verb == "PUT" else None

    with provides(answer) as provider:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{provider.endpoint}/")
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        found = settings()
    assert (found.access_key_id, found.renew is None) == ("OFCONTAINER", False)
    assert found.credentials_place == "this machine's role (iam-role)"
    assert [asked.path for asked in provider.asked] == ["/latest/api/token", path, f"{path}reader"]


def test_credentials_of_an_assumed_role(environ: pytest.MonkeyPatch) -> None:
    """STS is asked with those of the profile behind it, in the region of the settings."""
    write(
        "config",
        *("[profile reader]", "role_arn = arn:aws:iam::1:role/reader", "source_profile = me"),
        *("[profile me]", "aws_access_key_id = OFME", f"aws_secret_access_key = {SECRET}"),
    )
    with provides(lambda asked: of_role()) as provider:
        environ.setenv("AWS_ENDPOINT_URL_STS", provider.endpoint)
        found = settings(profile="reader", region="eu-west-1")
    assert (found.access_key_id, found.session_token) == ("OFROLE", Secret(TOKEN))
    assert found.credentials_place == "profile reader (assume-role)"
    assert found.renew is not None
    (asked,) = provider.asked
    assert (
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader"
        in asked.body
    )
    assert "Credential=OFME/" in asked.headers["authorization"]
    assert "/eu-west-1/sts/" in asked.headers["authorization"]


def test_credentials_of_a_role_for_a_web_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a pod of Kubernetes has them."""
    Path("token").write_text("of-the-pod")
    with provides(lambda asked: of_role("AssumeRoleWithWebIdentity")) as provider:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", provider.endpoint)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(Path("token").absolute()))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader")
        assert settings().access_key_id == "OFROLE"
    assert "WebIdentityToken=of-the-pod" in provider.asked[0].body


def log_in(minutes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the profile `work`, and the file that `aws sso login` leaves."""
    # It looks once where the home folder is, and each test has its own.
    cache = Path.home() / ".aws" / "sso" / "cache"
    monkeypatch.setattr(SSOTokenProvider, "_SSO_TOKEN_CACHE_DIR", str(cache))
    url = "https://example.awsapps.com/start"
    write(
        "config",
        *("[profile work]", "sso_session = my", "sso_account_id = 1", "sso_role_name = reader"),
        *("[sso-session my]", f"sso_start_url = {url}", "sso_region = us-east-1"),
    )
    cache.mkdir(parents=True)
    name = hashlib.sha1(b"my", usedforsecurity=False).hexdigest()
    token = {"startUrl": url, "accessToken": TOKEN, "expiresAt": in_minutes(minutes)}
    (cache / f"{name}.json").write_text(json.dumps(token))


def test_credentials_of_sso(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the token of `aws sso login`."""
    log_in(360, monkeypatch)
    with provides(lambda asked: of_sso()) as provider:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", provider.endpoint)
        found = settings(profile="work")
    assert (found.access_key_id, found.credentials_place) == ("OFSSO", "profile work (sso)")
    assert provider.asked[0].headers["x-amz-sso_bearer_token"] == TOKEN


def test_login_that_has_expired_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for with it."""
    log_in(-1, monkeypatch)
    with pytest.raises(AuthError, match="log in again with `aws sso login`"):
        settings(profile="work")


def test_credentials_are_read_again_from_the_start(environ: pytest.MonkeyPatch) -> None:
    """So that what another program wrote meanwhile is found, for the same bucket and endpoint."""
    lines = ["[data]", "aws_access_key_id = OLD", f"aws_secret_access_key = {SECRET}"]
    write("credentials", *lines)
    found = settings(profile="data", endpoint_url="https://storage.example")
    lines[1] = "aws_access_key_id = NEW"
    write("credentials", *lines)
    assert found.reload is not None
    again = found.reload()
    assert (found.access_key_id, again.access_key_id) == ("OLD", "NEW")
    assert (again.bucket, again.endpoint_url) == ("sensors", "https://storage.example")


@pytest.mark.parametrize("is_on_the_way", [False, True])
def test_code_that_a_person_types_is_asked_for_once(
    is_on_the_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run never waits for another one in the middle."""
    write(
        "config",
        *("[profile outer]", "role_arn = arn:aws:iam::1:role/outer", "source_profile = reader"),
        *("[profile reader]", "role_arn = arn:aws:iam::1:role/reader", "source_profile = me"),
        *("mfa_serial = arn:aws:iam::1:mfa/me", "[profile me]", "aws_access_key_id = OFME"),
        f"aws_secret_access_key = {SECRET}",
    )
    _, *others = AssumeRoleProvider.__init__.__defaults__
    asks = (lambda _: "123456", *others)
    monkeypatch.setattr(AssumeRoleProvider.__init__, "__defaults__", asks)
    with provides(lambda asked: of_role()) as provider:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", provider.endpoint)
        found = settings(profile="outer" if is_on_the_way else "reader")
    assert "TokenCode=123456" in provider.asked[0].body
    assert (found.access_key_id, found.reload, found.renew) == ("OFROLE", None, None)


def test_device_of_a_profile_without_a_role_asks_for_nothing(environ: pytest.MonkeyPatch) -> None:
    """Other programs have its name there, and write the credentials that they got with it."""
    write("config", "[default]", "mfa_serial = arn:aws:iam::1:mfa/me")
    assert settings().reload is not None


def test_nobody_is_asked_for_credentials_where_nothing_is_signed(
    environ: pytest.MonkeyPatch,
) -> None:
    """Endpoint and region are AWS's settings all the same, and none of the credentials is used."""
    write("config", *PROFILES)
    environ.setenv("SSLKEYLOGFILE", str(Path("keys").absolute()))  # of requests that are not sent
    with provides(lambda _: of_container()) as provider:
        environ.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", provider.endpoint)
        environ.setenv("AWS_ENDPOINT_URL_S3", "https://storage.example")
        found = settings(sign_request=False, region="eu")
        assert found == Settings("", "", "https://storage.example", "sensors", "", "eu")
        assert (found.reload, found.renew, found.credentials_place) == (None, None, "")
        assert settings(sign_request=False, profile="data").region == "eu-west-1"
    assert provider.asked == []


def test_messages_call_each_setting_by_where_it_was_set(environ: pytest.MonkeyPatch) -> None:
    """By its variable, by the profile that has it, or by the option that would set it."""
    names = settings().names
    assert (names.bucket, names.endpoint_url, names.region) == (
        *("--bucket", "--endpoint-url", "--region"),
    )
    assert names.access_key_id == "AWS_ACCESS_KEY_ID"
    write("config", *PROFILES)
    environ.setenv("AWS_REGION", "eu")
    names = settings(profile="data").names
    assert (names.endpoint_url, names.region) == ("endpoint_url of profile data", "AWS_REGION")
    assert names.secret_access_key.startswith("the secret access key of profile data (")
    names = load(environ=REQUIRED, given={"bucket": "other"})[0].names
    assert (names.bucket, names.region) == ("--bucket", "R2_REGION")


# what is refused --------------------------------------------------------------------------------


def test_no_credentials_anywhere_are_missing_settings() -> None:
    """The message names the ways to set them; no request has been sent."""
    with pytest.raises(ConfigError, match=r"no credentials; set R2_ACCESS_KEY_ID.*--profile"):
        settings()


@pytest.mark.parametrize(
    ("lines", "profile", "why"),
    [
        ((), "nobody", r"profile \(nobody\) could not be found"),
        (("nonsense",), "data", r"Unable to parse config file: .*/\.aws/config"),
        (("[profile data]", "aws_access_key_id = A"), "data", "missing: aws_secret_access_key"),
        (("[profile data]", "services = none"), "data", "services none, and there is no section"),
        (("[profile data]", "role_arn = a", "source_profile = b"), "data", '"b" .* does not exist'),
        (
            ("[profile data]", "credential_process = cat /none"),
            "data",
            "custom-process: cat: /none",
        ),
    ],
)
def test_what_is_wrong_with_a_profile_is_told(
    lines: tuple[str, ...], profile: str, why: str
) -> None:
    """In botocore's words, and without a traceback."""
    write("config", *lines)
    with pytest.raises((ConfigError, AuthError), match=why):
        settings(profile=profile)


@pytest.mark.row(154)
@pytest.mark.parametrize("name", ["config", "credentials"])
def test_file_of_aws_that_others_can_write_is_refused(
    name: str, environ: pytest.MonkeyPatch
) -> None:
    """It can name a program to run, so it is as an env file."""
    write(name, "[default]", "region = us-east-1").chmod(0o666)
    with pytest.raises(ConfigError, match=rf"\.aws/{name}: other users can write it \(chmod 600"):
        settings()


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_variable_brings_no_traceback(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a setting that is refused, or has no effect."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/")
    monkeypatch.setenv("AWS_ROLE_ARN", "nonsense")
    monkeypatch.setenv(name, "nonsense \u00e9")
    with pytest.raises((ConfigError, AuthError)):
        settings()


ODD = {
    "nothing": b"",
    "a page": b"<html>Sign in",
    "another type": b"[1]",
    "not all": b'{"AccessKeyId": "the-session-token"}',
    "no time": of_container().replace(b'"Expiration": "2', b'"Expiration": "the-secret-key'),
    "a time gone by": of_container(minutes=-10),
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD.keys())
def test_odd_answer_of_a_provider_is_told_without_what_it_holds(
    body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error of the remote side, whatever botocore raises for it."""
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    with provides(lambda asked: body) as provider:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", provider.endpoint)
        with pytest.raises(AuthError, match="AWS's settings lead to no credentials: ") as caught:
            settings()
    assert SECRET not in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.row(14)
@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_provider_whose_host_name_is_wrong_gets_no_request(
    variable: str, environ: pytest.MonkeyPatch
) -> None:
    """Certificates are checked as those of the bucket are, and the same authorities trusted."""
    authority = Authority()
    Path("ca.pem").write_bytes(authority.ca.cert_pem.bytes())
    write(
        "config",
        *("[profile reader]", "role_arn = arn:aws:iam::1:role/reader"),
        "credential_source = Environment",
    )
    environ.setenv(variable, str(Path("ca.pem").absolute()))
    for names, error in (("elsewhere.example", AuthError), ("localhost", None)):
        with provides(lambda asked: of_role(), authority.server(names)) as provider:
            environ.setenv("AWS_ENDPOINT_URL_STS", provider.endpoint)
            if error is None:
                assert settings(profile="reader").access_key_id == "OFROLE"
            else:
                with pytest.raises(error, match="SSL validation failed"):
                    settings(profile="reader")
                assert provider.asked == []


@pytest.mark.row(163)
def test_keys_of_requests_for_credentials_are_not_logged(environ: pytest.MonkeyPatch) -> None:
    """The library would write them, so nothing is asked for."""
    environ.setenv("SSLKEYLOGFILE", str(Path("keys").absolute()))
    with pytest.raises(ConfigError, match=r"SSLKEYLOGFILE is set: .* unset it"):
        settings()
    assert not Path("keys").exists()


# secrets ----------------------------------------------------------------------------------------


@pytest.mark.row(162)
@pytest.mark.parametrize("is_refused", [False, True])
@pytest.mark.parametrize("tells_thread", [True, False])
def test_no_secret_is_logged_or_in_an_error(
    is_refused: bool,
    tells_thread: bool,
    environ: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As botocore would log the whole answer at DEBUG, and a traceback of what went wrong."""
    caplog.set_level(logging.DEBUG)
    environ.setattr(logging, "logThreads", tells_thread)  # some programs save the time
    role = ("[profile reader]", "role_arn = arn:aws:iam::1:role/reader", "source_profile = me")
    me = ("[profile me]", "aws_access_key_id = OFME", f"aws_secret_access_key = {SECRET}")
    write("config", *role, *me)
    with provides(lambda asked: None if is_refused else of_role()) as provider:
        environ.setenv("AWS_ENDPOINT_URL_STS", provider.endpoint)
        if is_refused:
            with pytest.raises(AuthError, match=r"AccessDenied.*not yours") as caught:
                settings(profile="reader")
            assert [where for where, text in locals_of(caught.value) if SECRET in text] == []
        else:
            found = settings(profile="reader")
            assert SECRET not in f"{found!r} {vars(found.renew.__self__)}"  # type: ignore[union-attr]
    assert len(provider.asked) == 1
    assert SECRET not in caplog.text
    assert TOKEN not in caplog.text


# where they are from ----------------------------------------------------------------------------


def test_origin_of_each_setting_is_known_without_a_request(environ: pytest.MonkeyPatch) -> None:
    """Arguments, AWS's variables and the profile; not the credentials, which may need one."""
    Path(".env").touch(mode=0o600)
    Path(".env").write_text("AWS_SECRET_ACCESS_KEY=unread\nASYNCSYNC_DEST=here\n")
    environ.setenv("AWS_ENDPOINT_URL_S3", "https://storage.example")
    environ.setenv("AWS_PROFILE", "data")
    environ.delenv("ASYNCSYNC_PARQUET_CHECK")
    write("config", *PROFILES)
    found = origins(given={"bucket": "sensors"})
    assert found.places == {
        "bucket": "--bucket",
        "AWS_PROFILE": "the environment",
        "AWS_ENDPOINT_URL_S3": "the environment",
        "region": "profile data",
        "ASYNCSYNC_DEST": ".env",
    }
    assert found.unread == ["AWS_SECRET_ACCESS_KEY"]

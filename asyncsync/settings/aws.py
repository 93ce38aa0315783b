"""What AWS's own settings say: its variables, `~/.aws`, SSO, roles, containers and instances.

botocore reads them: its session is the one beneath aioboto3's. It is called as it is, and blocks,
so the event loop calls it in a thread. aiobotocore's requests to SSO and STS would not verify host
names, and they carry tokens.
"""

import logging
import os
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    InvalidConfigError,
    NoAuthTokenError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from asyncsync.errors import AsyncSyncError, AuthError, ConfigError
from asyncsync.keys import shown
from asyncsync.model import Credentials
from asyncsync.others import PlantedError, can_write, open_file
from asyncsync.secret import Secret

_FILES = {"config_file": "AWS_CONFIG_FILE", "credentials_file": "AWS_SHARED_CREDENTIALS_FILE"}
"""botocore's names of the files below `~/.aws`, and the variables that name others."""
_LIBRARIES = {"botocore", "urllib3"}
_PATIENCE = Config(
    connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"}
)
"""For requests to SSO and STS: a run waits for their answers."""
_FAILURES = (
    *(BotoCoreError, ClientError, ValueError, LookupError, TypeError, AttributeError),
    *(OSError, EOFError, RuntimeError, ResponseParserError),
)
"""What botocore raises for files, variables and answers that make no sense to it, and by intent."""
_LOGIN = (SSOError, NoAuthTokenError, TokenRetrievalError)


@dataclass(frozen=True, slots=True)
class Found:
    """A setting of AWS's."""

    name: str
    """How it is called in messages."""
    place: str
    value: Secret

    @property
    def called(self) -> str:
        """How it is called beside other settings, of other places."""
        return self.name if self.name.isupper() else f"{self.name} of {self.place}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a bucket is, as far as AWS's settings say so."""

    endpoint_url: Found | None
    region: Found | None
    profile: Found | None
    asks: bool
    """Whether a person has to type a code (MFA) for the profile's role."""


class Aws:
    """AWS's settings. No request is sent before `credentials`.

    Args:
        profile: the name of the profile to use; without one that of AWS_PROFILE, or `default`.

    Raises:
        ConfigError: there is no such profile, or a file cannot be read, or others can change it.
    """

    def __init__(self, profile: str | None) -> None:
        try:
            with _unlogged():
                self._session = _session(profile)
                _check_files(self._session)
                self.place = _look_up(self._session, profile)
                return
        except ConfigError as error:
            problem = error
        except _FAILURES as error:
            problem = ConfigError(f"AWS's settings: {_said(error)}")
        raise problem.with_traceback(None)  # anew: the other's frames hold secrets

    def use_region(self, region: str) -> None:
        """Ask STS there for roles, unless the region is not one of AWS's."""
        if region != "auto":
            self._session.set_config_variable("region", region)

    def credentials(self) -> Credentials:
        """Return credentials that are valid now; their provider is asked before they expire.

        Raises:
            ConfigError: there are none, or what is set for them makes no sense; or SSLKEYLOGFILE is
                set, which botocore would obey.
            AuthError: their provider did not give them.
        """
        try:
            _refuse_key_log()
            with _unlogged():
                return _frozen(self._session.get_credentials())
        except (AsyncSyncError, *_FAILURES) as error:
            problem = _refused(error)
        raise problem.with_traceback(None)  # anew: the other's frames hold secrets

    @property
    def expires(self) -> bool:
        """Whether the credentials do; `credentials` was called before."""
        return isinstance(self._session.get_credentials(), RefreshableCredentials)

    @property
    def credentials_place(self) -> str:
        """Where the credentials are from; `credentials` was called before."""
        method = str(self._session.get_credentials().method)
        if method == "env":
            return "the environment"
        if method in {"container-role", "iam-role"}:
            return f"this machine's role ({method})"
        return f"profile {shown(self._session.profile or 'default')} ({method})"


def _session(profile: str | None) -> Session:
    """Return a session whose requests to SSO and STS trust whom those to the bucket do."""
    session = Session(profile=profile)
    session.set_default_client_config(_PATIENCE)
    authorities = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    if session.get_config_variable("ca_bundle") is None and authorities:
        session.set_config_variable("ca_bundle", authorities)
    return session


def _refuse_key_log() -> None:
    """Ask nobody for credentials where botocore would write down the keys of the connection."""
    if os.environ.get("SSLKEYLOGFILE") and not sys.flags.ignore_environment:
        raise ConfigError(
            "SSLKEYLOGFILE is set: the keys of requests for AWS's credentials would be written "
            "there, with which everything could be read that is sent; unset it"
        )


def _frozen(held: Any) -> Credentials:
    """Return credentials as a value, of which `repr` shows no secret.

    Raises:
        ConfigError: there are none, or they have characters that no request can hold.
    """
    frozen = None if held is None else held.get_frozen_credentials()
    names = ("access_key", "secret_key", "token")
    key, secret, token = (Secret(getattr(frozen, name, "") or "").strip() for name in names)
    if not key or not secret:
        raise ConfigError(
            "AWS's settings have no credentials; set R2_ACCESS_KEY_ID and the others of R2, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile; a "
            "public bucket needs none with --no-sign-request"
        )
    if not all(part.is_visible for part in (key, secret, token) if part):
        raise ConfigError(
            "AWS's settings: the access key ID, the secret access key or the session token has "
            "characters other than visible ASCII; copy it again"
        )
    return Credentials(key.reveal(), secret, token)


def _look_up(session: Session, profile: str | None) -> Place:
    """Return what is set first: by a variable, for S3 in the profile's services, in the profile."""
    config = session.get_scoped_config()
    source = f"profile {shown(session.profile or 'default')}"
    variables = () if profile is not None else ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
    regions = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return Place(
        _endpoint_url(session, config, source),
        _first(*map(_variable, regions), Found("region", source, _text(config, "region"))),
        _first(*map(_variable, variables)),
        asks=_asks(session, config),
    )


def _endpoint_url(session: Session, config: Any, source: str) -> Found | None:
    if session.get_config_variable("ignore_configured_endpoint_urls"):
        return None
    services = config.get("services")
    sections = session.full_config.get("services", {})
    if services is not None and services not in sections:
        raise ConfigError(
            f"AWS's settings: {source} names the services {shown(services)}, and there is no "
            "section of that name"
        )
    of_s3 = sections.get(services, {}).get("s3", {})
    return _first(
        _variable("AWS_ENDPOINT_URL_S3"),
        _variable("AWS_ENDPOINT_URL"),
        Found("endpoint_url", f"services {services} of {source}", _text(of_s3, "endpoint_url")),
        Found("endpoint_url", source, _text(config, "endpoint_url")),
    )


def _asks(session: Session, config: Any) -> bool:
    """Return whether a role needs a code: the profile's, or one that is assumed on the way."""
    profiles, passed = session.full_config["profiles"], set[str]()
    while "role_arn" in config and "mfa_serial" not in config:
        source = config.get("source_profile", "")
        if source in passed:
            return False
        passed.add(source)
        config = profiles.get(source, {})
    return "role_arn" in config


def _variable(name: str) -> Found:
    return Found(name, "the environment", Secret(os.environ.get(name, "").strip()))


def _text(section: Any, name: str) -> Secret:
    return Secret(str(section.get(name, "")).strip())


def _first(*candidates: Found) -> Found | None:
    return next((found for found in candidates if found.value), None)


def _check_files(session: Session) -> None:
    """Refuse files that others could have written: they name programs to run, and endpoints.

    Raises:
        ConfigError: one of them is such a file, or cannot be read.
    """
    for name, variable in _FILES.items():
        path = os.path.expanduser(session.get_config_variable(name))
        if not os.path.exists(path):
            continue
        hint = f"; name a file of your own with {variable}"
        try:
            file = open_file(path, os.O_RDONLY, folders=True)
        except PlantedError as error:
            raise ConfigError(f"{shown(path)}: {error}{hint}") from None
        except OSError as error:
            raise ConfigError(f"{shown(path)}: cannot be read: {error.strerror}{hint}") from None
        try:
            if can_write(file):
                raise ConfigError(
                    f"{shown(path)}: other users can write it (chmod 600 {shown(path)}){hint}"
                )
        finally:
            os.close(file)


def _refused(error: Exception) -> AsyncSyncError:
    """Return what it means that credentials were not given."""
    if isinstance(error, AsyncSyncError):
        return error
    if isinstance(error, InvalidConfigError | PartialCredentialsError):
        return ConfigError(f"AWS's settings: {_said(error)}")
    login = "; log in again with `aws sso login`" if isinstance(error, _LOGIN) else ""
    return AuthError(f"AWS's settings lead to no credentials: {_said(error)}{login}")


def _said(error: Exception) -> str:
    """Return what an error says, if no part of a request or a file can be in it."""
    if isinstance(error, BotoCoreError | ClientError) and type(error) is not HTTPClientError:
        return shown(str(error))
    return f"{type(error).__name__}; check AWS's variables and files (`aws configure list`)"


class _OfThread(logging.Filter):
    """Drops the records of the thread that makes it."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def filter(self, _: logging.LogRecord) -> bool:
        """Return whether another thread logs the record, which need not know its thread."""
        return threading.get_ident() != self._thread


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop what the libraries log in this thread: answers with secrets (DEBUG), and tracebacks."""
    own = _OfThread()
    known = list(logging.root.manager.loggerDict)
    names = [name for name in known if name.partition(".")[0] in _LIBRARIES]
    for name in names:
        logging.getLogger(name).addFilter(own)
    try:
        yield
    finally:
        for name in names:
            logging.getLogger(name).removeFilter(own)

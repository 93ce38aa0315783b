"""A server that gives out credentials as AWS's do: a container's, an instance's, STS or SSO."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_REFUSAL = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
    b"<Message>not yours</Message></Error></ErrorResponse>"
)
TOKEN, SECRET = "the-session-token", "the-secret-key"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came in."""

    verb: str
    path: str
    body: str
    headers: dict[str, str]
    """By lower-cased name."""


Answers = Callable[[Asked], bytes | None]
"""Returns the body of an answer; None refuses the request."""


@dataclass(slots=True)
class Provider:
    """A server on a free port of 127.0.0.1, in a thread of its own."""

    endpoint: str
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def provides(answer: Answers, tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """Serve until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, self.rfile.read(length).decode(), headers)
            provider.asked.append(asked)
            given = answer(asked)
            body = _REFUSAL if given is None else given
            self.send_response(403 if given is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Be silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def handle_error(self, *_: object) -> None:
            """Be silent about a client that goes away, as in a handshake that it refuses."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "https" if tls else "http"
        provider = Provider(f"{scheme}://localhost:{server.server_port}")
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


def in_minutes(minutes: float) -> str:
    """Return a time as AWS writes it."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def of_container(name: str = "OFCONTAINER", minutes: float = 360) -> bytes:
    """Return credentials as the provider of a container or of an instance answers."""
    return json.dumps(
        {
            "Code": "Success",
            "AccessKeyId": name,
            "SecretAccessKey": SECRET,
            "Token": TOKEN,
            "Expiration": in_minutes(minutes),
        }
    ).encode()


def of_role(action: str = "AssumeRole") -> bytes:
    """Return credentials as STS answers."""
    return (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
        "<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/reader/me</Arn>"
        "<AssumedRoleId>ID:me</AssumedRoleId></AssumedRoleUser><Credentials>"
        f"<AccessKeyId>OFROLE</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
        f"<SessionToken>{TOKEN}</SessionToken><Expiration>{in_minutes(360)}</Expiration>"
        f"</Credentials></{action}Result></{action}Response>"
    ).encode()


def of_sso() -> bytes:
    """Return credentials as the portal of SSO answers."""
    until = (datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000
    role = {
        "accessKeyId": "OFSSO",
        "secretAccessKey": SECRET,
        "sessionToken": TOKEN,
        "expiration": int(until),
    }
    return json.dumps({"roleCredentials": role}).encode()

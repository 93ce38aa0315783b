"""Has all names of hosts lead to this machine, and notes which were looked up."""

import socket

import pytest


def lead_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Resolve every name to 127.0.0.1 from now on; return the list of those that were asked for."""
    asked: list[str] = []

    def resolve(host: str, port: int | None, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        here = ("127.0.0.1", port or 0)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", here)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked

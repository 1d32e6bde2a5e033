"""Where a server is and what the head of a request says."""

from __future__ import annotations

import pytest

from pilotlight.bench.target import Target
from pilotlight.errors import BenchError


@pytest.mark.parametrize(
    ("url", "address", "host", "path"),
    [
        ("http://127.0.0.1:8080", ("127.0.0.1", 8080), "127.0.0.1:8080", "/v1/models"),
        ("http://h:80/v1", ("h", 80), "h", "/v1/models"),
        ("https://h/v1/", ("h", 443), "h", "/v1/models"),
        ("https://h:8443/openai/v1", ("h", 8443), "h:8443", "/openai/v1/models"),
        ("http://[::1]:9", ("::1", 9), "[::1]:9", "/v1/models"),
    ],
)
def test_an_address_is_read(url: str, address: tuple[str, int], host: str, path: str) -> None:
    target = Target(url=url, model="m")
    assert target.address == address
    head = target.head("GET", "/v1/models").decode()
    assert head.startswith(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n")
    assert head.endswith("\r\nContent-Length: ")


@pytest.mark.parametrize(
    "url", ["h:80", "ftp://h", "http://", "http://h:port", "", "http://h:99999"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BenchError, match="is no address of a server"):
        _ = Target(url=url, model="m").address


def test_the_key_is_never_shown() -> None:
    assert "sk-secret" not in repr(Target(url="http://h", model="m", key="sk-secret"))


def test_a_header_cannot_smuggle_another() -> None:
    with pytest.raises(BenchError, match="'Authorization' has characters"):
        Target(url="http://h", model="m", key="a\r\nX: y").head("GET", "/")

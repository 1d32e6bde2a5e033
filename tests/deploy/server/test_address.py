"""Where a server hears requests, as people write it."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.deploy.server.address import Address
from pilotlight.errors import ConfigError


@settings(deadline=None)
@given(st.ip_addresses(), st.integers(1, 65535))
def test_what_it_shows_is_what_it_reads(host: ipaddress.IPv4Address, port: int) -> None:
    address = Address(str(host), port)
    assert Address.parse(str(address), "key") == address


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "localhost:8080", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536",
             "127.0.0.1:http", "127.0.0.1:-1", "1.2.3.4.5:80", "http://127.0.0.1:8080"]
)  # fmt: skip
def test_what_is_no_address_is_refused_with_its_key_and_a_way_out(text: str) -> None:
    with pytest.raises(ConfigError, match=r"compose\.publish is ") as caught:
        Address.parse(text, "compose.publish")
    assert repr(text) in caught.value.message
    assert "127.0.0.1:8080" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "loopback", "url"),
    [
        ("127.0.0.1:8080", True, "http://127.0.0.1:8080"),
        ("127.8.0.1:80", True, "http://127.8.0.1:80"),
        ("[::1]:9000", True, "http://[::1]:9000"),
        ("0.0.0.0:80", False, "http://127.0.0.1:80"),
        ("[::]:80", False, "http://127.0.0.1:80"),
        ("192.0.2.7:8080", False, "http://192.0.2.7:8080"),
    ],
)
def test_who_reaches_it_and_how_it_is_asked(text: str, loopback: bool, url: str) -> None:
    address = Address.parse(text, "key")
    assert (address.loopback, address.url) == (loopback, url)

"""Where a server's own machine hears requests: an address and a port."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pilotlight.errors import ConfigError

_ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str, key: str) -> Address:
        """``127.0.0.1:8080``, ``[::1]:8080``. Raises ConfigError naming the setting `key`."""
        host, colon, port = text.rpartition(":")
        if colon and port.isascii() and port.isdigit() and 0 < int(port) < 65536:
            try:
                return cls(str(ipaddress.ip_address(host.strip("[]"))), int(port))
            except ValueError:
                pass
        raise ConfigError(
            f"{key} is {text!r}, expected an IP address and a port",
            hint=f"such as {key}: 127.0.0.1:8080, or 0.0.0.0:8080 for every network",
        )

    @property
    def loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """As this machine itself reaches it."""
        here = "127.0.0.1" if self.host in _ANY else self.host
        return f"http://[{here}]:{self.port}" if ":" in here else f"http://{here}:{self.port}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

"""The certificate, tried before anything starts: the HTTP server would fail on it much later."""

from __future__ import annotations

import ssl
from pathlib import Path

from pilotlight.errors import ConfigError


def check_certificate(certificate: Path, key: Path) -> None:
    """Raises ConfigError for files that can't be read, hold no PEM, or don't belong together."""
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        _check_readable(name, path)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, password=lambda: _refuse_password(key))
    except ssl.SSLError as error:
        raise ConfigError(
            f"tls_certificate {str(certificate)!r} and tls_key {str(key)!r} can't be used "
            f"together: {error.reason or error}",
            hint="give a PEM certificate chain, the server's own first, and that one's PEM key",
        ) from None


def _check_readable(name: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(
            f"{name} is {str(path)!r}, which can't be read: {error.strerror}",
            hint=f"give {name} the path of a PEM file that this user may read",
        ) from None


def _refuse_password(key: Path) -> str:
    """Called for an encrypted key; without it OpenSSL would ask on the terminal."""
    raise ConfigError(
        f"tls_key {str(key)!r} is encrypted, and a server has nobody to ask for its password",
        hint=f"decrypt it: openssl pkey -in {key} -out decrypted.key",
    )

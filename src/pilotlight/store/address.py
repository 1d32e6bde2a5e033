"""URLs, and what of them may be written down."""

from __future__ import annotations

import base64
import posixpath
import re
from urllib.parse import unquote

from yarl import URL

from pilotlight.core import ModelRef

_LOGIN = re.compile(r"(?<=//).*@")
_ADDRESSES = ("https", "http", "s3", "gs", "az")
_REGISTRIES = ("oci", "ollama")
_REGISTRY_LOGIN = re.compile(r"^(\w+:(?://)?)[^/]*@(?!sha256:)")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


def exact_url(text: str) -> URL:
    """`text` as it stands: quoting it again would break the signature of a signed URL."""
    quoted = text.isascii() and not any(character in text for character in ' "<>')
    return URL(text, encoded=quoted)


def redacted(text: str) -> str:
    """`text` for logs, errors and manifests: without user, password, query and fragment."""
    try:
        return str(exact_url(text).with_user(None).with_query(None).with_fragment(None))
    except ValueError:  # no URL at all, or one with a broken part: its secrets are hidden alike
        return _LOGIN.sub("", re.split("[?#]", text, maxsplit=1)[0])


def without_login(text: str) -> tuple[str, dict[str, str]]:
    """The URL without ``user:password@``, and the header that says the same.

    A header is dropped on the way to another host; a login in an URL is easily
    joined, logged or stored along with it.
    """
    url = exact_url(text)
    if url.user is None:
        return text, {}
    login = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
    return str(url.with_user(None)), {"Authorization": f"Basic {login}"}


def same_origin(one: str, other: str) -> bool:
    return exact_url(one).origin() == exact_url(other).origin()


def file_name(text: str) -> str:
    """The last part of an URL's or ref's path, safe as a file's name here."""
    path = text.partition("#")[0].partition("?")[0]
    name = _UNSAFE.sub("_", posixpath.basename(unquote(path))).lstrip(".")
    return name or "model"


def shown(ref: ModelRef) -> str:
    """`ref` for errors and manifests: an address without its secrets."""
    if ref.scheme in _ADDRESSES:
        return redacted(str(ref))
    # A registry's login has no place in a ref, which doesn't keep people from writing it there.
    return _REGISTRY_LOGIN.sub(r"\1", str(ref)) if ref.scheme in _REGISTRIES else str(ref)


def shown_text(text: str) -> str:
    """A ref as it stands in the configuration, without its secrets."""
    ref = ModelRef.parse(text)
    return shown(ref) if ref.scheme in (*_ADDRESSES, *_REGISTRIES) else text

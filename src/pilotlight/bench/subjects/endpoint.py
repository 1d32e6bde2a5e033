"""An endpoint that is there already: which model it serves, and what it says of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pilotlight.bench.subjects.asking import Endpoint, ask, asked
from pilotlight.bench.subjects.subject import Subject
from pilotlight.errors import BenchError

_DESCRIBED = ("ref", "engine", "build", "digest", "size_bytes", "context", "slots")


def base_url(text: str) -> str:
    """Without the final slash or the ``/v1`` that clients carry.

    Raises:
        BenchError: it is no address, or it holds credentials, which aren't shown.
    """
    parts = _split(text)
    if parts is not None and parts.username is not None:
        raise BenchError(
            f"the address of {parts.hostname} holds credentials",
            hint="put the key into PILOTLIGHT_API_KEY",
        )
    if parts is None or not _can_be_reached(parts):
        raise BenchError(f"{text!r} is no address of a server", hint="write http://HOST:PORT")
    if parts.query or parts.fragment:
        raise BenchError(
            f"the address of {parts.hostname} has more than a path",
            hint="write http://HOST:PORT or http://HOST:PORT/PATH",
        )
    return text.rstrip("/").removesuffix("/v1")


def _split(text: str) -> SplitResult | None:
    try:
        return urlsplit(text)
    except ValueError:  # such as a bracket that isn't closed
        return None


def _can_be_reached(parts: SplitResult) -> bool:
    """Host, port and path can be written into a request."""
    try:
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        return False
    plain = parts.path.isascii() and parts.path.isprintable() and " " not in parts.path
    return parts.scheme in ("http", "https") and bool(host) and port != 0 and plain


def described(
    url: str, *, key: str | None = None, model: str | None = None, name: str | None = None
) -> Subject:
    """Asks any OpenAI-compatible server; Pilotlight tells more than others do. Blocks.

    Raises:
        ServerUnreachableError, ServerRefusedError: it doesn't answer.
        BenchError: several models, and none was chosen.
    """
    endpoint = Endpoint(base_url(url), key)
    chosen = model or _only_model(endpoint)
    subject = Subject(
        name=name or chosen,
        url=endpoint.url,
        model=chosen,
        key=key,
        here=is_loopback(endpoint.url),
    )
    return detailed(subject)


def detailed(subject: Subject) -> Subject:
    """With what its server says of the model; unchanged where it says nothing."""
    endpoint = Endpoint(subject.url, subject.key)
    entry = _entry(asked(endpoint, "/pilotlight/v1/models"), subject.model)
    if not entry:
        return replace(subject, server=_other_server(endpoint))
    shown = asked(endpoint, "/api/show", {"model": subject.model}).get("details") or {}
    version = asked(endpoint, "/pilotlight/v1/ps").get("version")
    said: dict[str, Any] = {field: entry.get(field) for field in _DESCRIBED}
    return replace(
        subject,
        **said,
        options=entry.get("options") or {},
        quantization=shown.get("quantization_level") or None,
        server=f"pilotlight {version}" if version else "pilotlight",
    )


def is_cold(subject: Subject) -> bool:
    """Whether its server says that the next request has to wait for a load. False if unknown."""
    answer = asked(Endpoint(subject.url, subject.key), "/pilotlight/v1/ps")
    return _entry(answer, subject.model).get("state") == "cold"


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _only_model(endpoint: Endpoint) -> str:
    answer = ask(endpoint, "/v1/models")
    names = [str(entry.get("id")) for entry in answer.get("data") or []]
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names[:8]) or "none"
    raise BenchError(
        f"{endpoint.url} serves {len(names)} models: {shown}", hint="choose one with --model"
    )


def _entry(answer: dict[str, Any], model: str) -> dict[str, Any]:
    base = model.split(":", 1)[0]
    for entry in answer.get("models") or []:
        if model in (entry.get("name"), *(entry.get("aliases") or ())):
            return dict(entry)
    # An adapter is named after its base.
    return next((dict(e) for e in answer.get("models") or [] if e.get("name") == base), {})


def _other_server(endpoint: Endpoint) -> str | None:
    """By the paths that only one of them has."""
    if version := asked(endpoint, "/api/version").get("version"):
        return f"ollama {version}"
    if version := asked(endpoint, "/version").get("version"):
        return f"vllm {version}"
    if build := asked(endpoint, "/props").get("build_info"):
        return f"llama-server {build}"
    return None

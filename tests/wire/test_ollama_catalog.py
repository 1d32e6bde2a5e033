"""Ollama's answers about models parse with the official client."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import ollama

from pilotlight.gateway.translate.ollama_catalog import (
    Details,
    Listed,
    Running,
    Shown,
    ps,
    show,
    tags,
    version,
)

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
DETAILS = Details(family="llama", parameter_size="135M", quantization="Q4_1")


def client(answer: dict[str, Any]) -> ollama.Client:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=answer))
    return ollama.Client(host="http://t", transport=transport)


def test_tags() -> None:
    listed = Listed("smollm2:135m", DETAILS, NOON, 98_362_432, "sha256:ab12")
    with client(tags([listed, Listed("other", Details(), NOON)])) as reader:
        first, second = reader.list().models
    assert (first.model, first.size, first.digest) == ("smollm2:135m", 98_362_432, "ab12")
    assert first.modified_at == NOON
    assert first.details is not None
    assert (first.details.families, first.details.quantization_level) == (["llama"], "Q4_1")
    assert second.details is not None
    assert second.details.families == []


def test_ps() -> None:
    running = Running("smollm2:135m", DETAILS, 150_000_000, 0, "sha256:ab12", NOON, 4096)
    with client(ps([running, Running("stays", DETAILS, 1)])) as reader:
        first, second = reader.ps().models
    assert (first.expires_at, first.context_length, first.size_vram) == (NOON, 4096, 0)
    assert second.expires_at is not None
    assert second.expires_at.year == 2318
    assert second.context_length is None


def test_show() -> None:
    shown = Shown(
        "smollm2:135m",
        DETAILS,
        NOON,
        ("completion", "tools"),
        {"general.architecture": "llama"},
        "{{ .Prompt }}",
        {"num_ctx": 4096},
    )
    with client(show(shown)) as reader:
        found = reader.show("smollm2:135m")
    assert found.capabilities == ["completion", "tools"]
    assert found.modelinfo == {"general.architecture": "llama"}
    assert found.parameters is not None
    assert found.parameters.split() == ["num_ctx", "4096"]
    assert found.template == "{{ .Prompt }}"


def test_version() -> None:
    assert version("0.5.1") == {"version": "0.5.1"}

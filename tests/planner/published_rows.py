"""Published measurements of engines on GPUs, and what the planner predicts for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from pilotlight.planner import gpu_rates, memory
from pilotlight.planner.batching import service
from pilotlight.planner.device import Device, gpu_device
from pilotlight.planner.gpu_rates import GpuConstants
from pilotlight.planner.model import PlannedModel
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Batch, Setup, Stage
from pilotlight.planner.speed import Speed, at_concurrency, at_load
from pilotlight.planner.weights import Format
from pilotlight.planner.work import work_of

from .speed_setups import catalog, model

FILES = Path(__file__).parent / "published" / "speed"
VLLM_V0 = replace(
    gpu_rates.VLLM,
    engine="vllm-v0",
    mixed=False,
    step_s=1.26e-3,
    sequence_s=58e-6,
)
"""vLLM 0.7's engine took more of the host's time for each step and sequence, and gave prompts steps
of their own. Fitted to the fit rows of its file; nobody plans for it, so it stays here."""

CONSTANTS: Mapping[str, GpuConstants] = {**gpu_rates.GPU_ENGINES, "vllm-v0": VLLM_V0}


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure; `load` says how it was measured, `what` which figure it is."""

    file: str
    engine: str
    fitted: bool
    device: Device
    fields: Mapping[str, Any]

    @property
    def value(self) -> float:
        return float(self.fields["value"])

    def predicted(self, constants: GpuConstants) -> float | None:
        """None where the planner says that the load is more than the replica takes."""
        return LOADS[self.fields["load"]](self, constants)


def rows(*names: str) -> Iterator[Row]:
    """All rows of the files, or of those named."""
    for path in sorted(FILES.glob("*.yaml")):
        if names and path.stem not in names:
            continue
        document = yaml.safe_load(path.read_text())
        devices = {**_catalog_devices(), **_own_devices(document.get("devices", {}))}
        for fields in document["rows"]:
            yield Row(
                path.stem,
                document["engine"],
                fields["gpu"] in document["fit"],
                devices[fields["gpu"]],
                fields,
            )


@lru_cache(maxsize=1)
def _catalog_devices() -> dict[str, Device]:
    return {name: gpu_device(gpu) for name, gpu in catalog().gpus.items()}


def _own_devices(given: Mapping[str, Mapping[str, float]]) -> dict[str, Device]:
    return {
        name: Device(
            name=name,
            kind="gpu",
            bandwidth_bytes_s=facts["bandwidth_gb_s"] * 1e9,
            flop_s={"fp16": facts["fp16_tflops"] * 1e12, "int8": facts["int8_tops"] * 1e12},
            link_bytes_s=32e9,
        )
        for name, facts in given.items()
    }


def _model(row: Row) -> PlannedModel:
    format: Format = "gguf" if row.engine == "llamacpp" else "safetensors"
    return model(row.fields["model"], row.fields["quantization"], format)


def _setup(row: Row, constants: GpuConstants) -> Setup:
    fields = row.fields
    work = work_of(_model(row))
    count = fields.get("gpus", 1)
    rates = constants.rates(row.device)
    if row.engine != "llamacpp":
        return Setup(work, (Stage(row.device, rates, ranks=count),))
    stages = [
        Stage(row.device, rates, share=1 / count, head=index == count - 1) for index in range(count)
    ]
    return Setup(work, tuple(stages))


def _lengths(row: Row) -> Lengths:
    return Lengths(input_tokens=row.fields["input"], output_tokens=row.fields["output"])


@cache
def _places(
    name: str, quantization: str, gpu_bytes: int, gpus: int, tokens: int, most: int
) -> float:
    """Sequences that the cache holds, as the planner counts them."""
    planned = model(name, quantization, "safetensors")
    demand = memory.Load(context=tokens, sequences=1)
    room = memory.Room(ram_bytes=1 << 40, gpus=(gpu_bytes,) * gpus)
    found = memory.fit(planned, "vllm", demand, room)
    return float(max(1, min(most, found.sequences)))


def places(row: Row, most: int = 256) -> float:
    fields, device = row.fields, row.device
    assert device.memory_bytes is not None
    tokens = fields["input"] + fields["output"]
    return _places(
        fields["model"], fields["quantization"], device.memory_bytes, fields["gpus"], tokens, most
    )


def _figure(row: Row, speed: Speed) -> float:
    spread = {
        "ttft_ms": speed.metrics.ttft_ms,
        "tpot_ms": speed.metrics.tpot_ms,
        "ttft_tail_ms": speed.metrics.ttft_tail_ms,
        "tpot_tail_ms": speed.metrics.tpot_tail_ms,
        "output_tokens_per_s": speed.metrics.output_tokens_per_s,
    }[row.fields["what"]]
    assert spread is not None
    return spread.median


def _alone(row: Row, constants: GpuConstants) -> float:
    return _figure(row, at_concurrency(_setup(row, constants), _lengths(row), 1))


def _closed(row: Row, constants: GpuConstants) -> float:
    concurrency = min(float(row.fields["concurrency"]), places(row))
    return _figure(row, at_concurrency(_setup(row, constants), _lengths(row), concurrency))


def _open(row: Row, constants: GpuConstants) -> float | None:
    found = at_load(
        _setup(row, constants),
        _lengths(row),
        row.fields["requests_per_s"],
        places(row),
        row.fields["percentile"],
    )
    return _figure(row, found) if isinstance(found, Speed) else None


def _full(row: Row, constants: GpuConstants) -> float:
    lengths = _lengths(row)
    busy = min(float(row.fields["requests"]), places(row, row.fields["places"]))
    found = service(_setup(row, constants), lengths, busy)
    return found.requests_per_s * lengths.output_tokens


def _drain(row: Row, constants: GpuConstants) -> float:
    """All requests at once, answers of different lengths: the longest one sets the time.

    While it runs the others end one after the other, so that the mean batch is the mean answer's
    share of the longest.
    """
    requests, longest = row.fields["requests"], row.fields["longest"]
    lengths, most = _lengths(row), places(row)
    mean = requests * lengths.output_tokens / longest
    found = service(_setup(row, constants), lengths, min(mean, most))
    if requests > most:
        return found.requests_per_s * lengths.output_tokens
    total_s = found.first_s + requests * found.beside_s + (longest - 1) * found.step_s
    return float(requests * lengths.output_tokens / total_s)


def _microbatch(row: Row, constants: GpuConstants) -> float:
    tokens = row.fields["tokens"]
    step = _setup(row, constants).step(Batch(prompt=tokens, past=row.fields["past"]))
    return float(tokens / step.seconds)


def _decode(row: Row, constants: GpuConstants) -> float:
    return 1 / _setup(row, constants).decode(1, row.fields["context"]).seconds


LOADS = {
    "alone": _alone,
    "closed": _closed,
    "open": _open,
    "full": _full,
    "drain": _drain,
    "microbatch": _microbatch,
    "decode": _decode,
}

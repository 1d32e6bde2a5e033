"""What can be set about transformers for one model, by the field's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pilotlight.engines.given import Reader, option
from pilotlight.engines.llamacpp import kinds
from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.errors import EngineOptionError
from pilotlight.machine import Machine

READER = Reader("transformers")
ATTENTION = (
    "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention",
)  # fmt: skip
DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTIZATION = ("bnb-4bit", "bnb-8bit")
MAPS = ("auto", "balanced", "balanced_low_0", "sequential")
PREFILL, PREFILL_ON_GPU = 512, 2048


def _device(raw: Any) -> str:
    name, _, number = raw.partition(":")
    if name not in ("auto", "cpu", "cuda") or (number and not number.isdecimal()):
        raise ValueError
    if number and name != "cuda":
        raise ValueError
    return str(raw)


def _device_map(raw: Any) -> str | dict[str, Any]:
    if raw in MAPS:
        return str(raw)
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError
    return {str(module): device for module, device in raw.items()}


_DEVICE = Kind("auto, cpu, cuda or cuda and a number such as cuda:1", _device)
_DEVICE_MAP = Kind(f"one of {', '.join(MAPS)}, or a mapping of modules to devices", _device_map)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's options; answers under way always share one batch."""

    # How much fits.
    context: int | None = option(
        None, kinds.whole(1), "tokens one request may use; else the model's own, up to 4096"
    )
    parallel: int = option(4, kinds.whole(1, 256), "requests worked on at once")
    prefill_chunk: int = option(
        PREFILL, kinds.whole(1), "tokens of a prompt read between two steps of other answers"
    )
    # How it computes.
    threads: int = option(1, kinds.whole(1, 512), "threads that compute")
    dtype: str = option("auto", kinds.one_of(*DTYPES), "numbers to compute with; auto: as stored")
    device: str = option("auto", _DEVICE, "where it computes; auto takes a GPU where there is one")
    device_map: str | Mapping[str, Any] | None = option(
        None, _DEVICE_MAP, "spreads the model over several devices, in place of device"
    )
    attn_implementation: str | None = option(
        None, kinds.one_of(*ATTENTION), "attention kernels; else transformers' choice"
    )
    quantization: str | None = option(
        None, kinds.one_of(*QUANTIZATION), "quantize while loading, by bitsandbytes"
    )
    # What it may run.
    load_format: str = option(
        "safetensors",
        kinds.one_of("safetensors", "pt"),
        "pt reads pickled weights (.bin), which can run code of their maker's",
    )
    trust_remote_code: bool = option(
        False, kinds.switch(), "run Python code that comes with the model, with all its rights"
    )
    # Chat.
    chat_template: str | None = option(None, kinds.text(), "instead of the model's own")
    chat_template_file: Path | None = option(None, kinds.file_path(), "the same, from a file")
    chat_template_kwargs: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "values the template reads, such as {enable_thinking: false}"
    )
    # Embeddings.
    embedding: bool | None = option(None, kinds.switch(), "serve embeddings; else as its kind")
    pooling: str | None = option(
        None, kinds.one_of("mean", "cls", "last", "max"), "how token embeddings become one"
    )
    # What a request gets that doesn't say.
    max_tokens: int | None = option(None, kinds.whole(1), "longest answer of a silent request")
    seed: int | None = option(None, kinds.whole(0, 2**32 - 1), "sampling seed")
    temperature: float | None = option(None, kinds.real(0), "sampling temperature")
    top_k: int | None = option(None, kinds.whole(0), "top-k sampling")
    top_p: float | None = option(None, kinds.real(0, 1), "top-p sampling")
    min_p: float | None = option(None, kinds.real(0, 1), "min-p sampling")
    typical_p: float | None = option(None, kinds.real(0, 1), "typical sampling")
    repetition_penalty: float | None = option(
        None, kinds.real(0.01), "penalty on tokens of the prompt and the answer"
    )
    presence_penalty: float | None = option(None, kinds.real(-2, 2), "penalty on present tokens")
    frequency_penalty: float | None = option(None, kinds.real(-2, 2), "penalty on frequent tokens")

    @property
    def template(self) -> str | None:
        """The chat template that replaces the model's own."""
        if self.chat_template_file is not None:
            return self.chat_template_file.read_text()
        return self.chat_template


SILENT = (
    "max_tokens", "seed", "temperature", "top_k", "top_p", "min_p", "typical_p",
    "repetition_penalty", "presence_penalty", "frequency_penalty",
)  # fmt: skip
"""Options that stand in for a request's own fields of the same names."""


def complete(given: Mapping[str, Any], machine: Machine) -> Options:
    """`given`, checked, with the rest as `machine` suggests.

    Raises:
        EngineOptionError: an unknown option, a wrong value or two that exclude each other.
    """
    suggested: dict[str, Any] = {"threads": machine.cores}
    if _computes_on_gpu(given, machine):
        suggested |= {"parallel": 16, "prefill_chunk": PREFILL_ON_GPU}
    options = READER.read(Options, {**suggested, **given})
    _reject_conflicts(options)
    _reject_without_gpu(options, machine)
    return options


def _computes_on_gpu(given: Mapping[str, Any], machine: Machine) -> bool:
    return bool(machine.gpus) and given.get("device", "auto") != "cpu"


def _reject_conflicts(options: Options) -> None:
    if options.chat_template is not None and options.chat_template_file is not None:
        raise _exclude("chat_template", "chat_template_file", "keep the one with the template")
    if options.device_map is not None and options.device != "auto":
        raise _exclude("device", "device_map", "device_map alone says where everything goes")


def _exclude(one: str, other: str, hint: str) -> EngineOptionError:
    return EngineOptionError(
        f"the transformers options {one!r} and {other!r} exclude each other", hint=hint
    )


def _reject_without_gpu(options: Options, machine: Machine) -> None:
    wants = {
        "device": options.device.startswith("cuda") and options.device,
        "quantization": options.quantization,
        "attn_implementation": (options.attn_implementation or "").startswith("flash")
        and options.attn_implementation,
    }
    for name, value in wants.items():
        if value and not machine.gpus:
            raise EngineOptionError(
                f"the transformers option {name!r} is {value!r}, and there is no NVIDIA GPU here",
                hint="drop it, or see what pilotlight doctor finds",
            )

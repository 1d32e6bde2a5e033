"""What can be set about llama.cpp for one model, by the field's names.

None leaves a choice to llama.cpp. Each option reaches both programs (server.py,
wheel.py) or is refused by name for the one that can't do it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from pilotlight.engines.llamacpp import kinds
from pilotlight.engines.llamacpp.kinds import Kind
from pilotlight.engines.llamacpp.speculation import METHODS
from pilotlight.errors import EngineOptionError
from pilotlight.machine import Machine

_T = TypeVar("_T")

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


UBATCH = 512
"""llama.cpp's own micro-batch."""


def option(default: Any, kind: Kind, help: str) -> Any:
    return field(default=default, metadata={"kind": kind, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA that is on for every request."""

    path: Path = option(None, kinds.file_path(), "the adapter's GGUF file")
    scale: float = option(1.0, kinds.real(), "how strongly it applies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculative:
    """How tokens are guessed ahead; the model then checks them, so answers stay its own."""

    method: str = option(None, kinds.one_of(*METHODS), "who guesses")
    model: Path | None = option(None, kinds.file_path(), "the draft model's GGUF file")
    draft_max: int | None = option(None, kinds.whole(1), "most tokens guessed at once")
    draft_min: int | None = option(None, kinds.whole(0), "fewest tokens worth checking")
    p_min: float | None = option(None, kinds.real(0, 1), "least probability to go on guessing")
    gpu_layers: str | int | None = option(None, kinds.layers(), "draft layers on accelerators")
    cache_type_k: str | None = option(None, kinds.one_of(*CACHE_TYPES), "draft key cache")
    cache_type_v: str | None = option(None, kinds.one_of(*CACHE_TYPES), "draft value cache")
    ngram_size: int | None = option(None, kinds.whole(1, 1024), "tokens looked up (n-gram methods)")
    ngram_min_hits: int | None = option(None, kinds.whole(1), "times seen before it counts")


def _speculative(raw: Any) -> Speculative:
    given = {"method": raw} if isinstance(raw, str) else raw
    if not isinstance(given, Mapping) or "method" not in given:
        raise ValueError
    return read(Speculative, given, "speculative.")


def _adapters(raw: Any) -> tuple[Adapter, ...]:
    items = [raw] if isinstance(raw, str | Path | Mapping) else list(raw)
    adapters = tuple(
        read(Adapter, item if isinstance(item, Mapping) else {"path": item}, "lora.")
        for item in items
    )
    if any(adapter.path is None for adapter in adapters):
        raise ValueError
    return adapters


_LORA = Kind("a path, or a list of paths or {path, scale}", _adapters)
_SPECULATIVE = Kind(f"a method ({', '.join(METHODS)}) or {{method, model, …}}", _speculative)
_CACHE = kinds.one_of(*CACHE_TYPES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's options; continuous batching and Jinja templates are always on."""

    # How much fits.
    context: int | None = option(
        None, kinds.whole(1), "tokens one request may use; else the model's own, up to 4096"
    )
    parallel: int = option(4, kinds.whole(1, 256), "requests worked on at once")
    batch_size: int | None = option(None, kinds.whole(1), "tokens decoded in one logical batch")
    ubatch_size: int | None = option(None, kinds.whole(1), "tokens computed in one go")
    cache_type_k: str | None = option(None, _CACHE, "type of the key cache")
    cache_type_v: str | None = option(None, _CACHE, "type of the value cache")
    kv_unified: bool = option(False, kinds.switch(), "one cache buffer for all requests")
    swa_full: bool | None = option(None, kinds.switch(), "full-size sliding-window cache")
    context_shift: bool = option(False, kinds.switch(), "drop old tokens instead of stopping")
    context_checkpoints: int = option(
        2, kinds.whole(0, 256), "snapshots a slot keeps of windowed and recurrent layers"
    )
    # Reuse of prompts.
    cache_ram: int = option(0, kinds.size(), "memory for prompts of earlier requests")
    cache_reuse: int | None = option(None, kinds.whole(0), "least tokens reused by shifting")
    slot_prompt_similarity: float | None = option(
        None, kinds.real(0, 1), "how much of a prompt must match a slot's to reuse it"
    )
    # Processors.
    threads: int = option(1, kinds.whole(1, 512), "threads that decode")
    threads_batch: int | None = option(None, kinds.whole(1, 512), "threads that read prompts")
    flash_attention: str | None = option(
        None, kinds.one_of("auto", "on", "off"), "fused attention kernels"
    )
    mmap: bool | None = option(None, kinds.switch(), "map the file instead of reading it")
    mlock: bool | None = option(None, kinds.switch(), "never swap the model out")
    repack: bool | None = option(None, kinds.switch(), "copy weights into the CPU's own layout")
    warmup: bool = option(False, kinds.switch(), "an empty run first; the canary does that job")
    # Accelerators.
    gpu_layers: str | int | None = option(None, kinds.layers(), "layers on accelerators")
    split_mode: str | None = option(
        None, kinds.one_of("none", "layer", "row", "tensor"), "how several GPUs share the model"
    )
    tensor_split: tuple[float, ...] | None = option(None, kinds.numbers(), "each GPU's share")
    main_gpu: int | None = option(None, kinds.whole(0), "the GPU for split_mode none or row")
    kv_offload: bool | None = option(None, kinds.switch(), "the cache sits with its layers")
    cpu_moe_layers: int | None = option(
        None, kinds.whole(1, 1024), "first layers whose experts stay on the CPU"
    )
    override_tensor: str | None = option(None, kinds.text(), "pattern=buffer type, …")
    device: str | None = option(None, kinds.text(), "devices to use, by llama.cpp's names")
    # The model.
    embedding: bool | None = option(None, kinds.switch(), "serve embeddings; else as its kind")
    pooling: str | None = option(
        None, kinds.one_of("none", "mean", "cls", "last", "rank"), "how token embeddings become one"
    )
    lora: tuple[Adapter, ...] = option((), _LORA, "adapters that are always on")
    mmproj: Path | None = option(None, kinds.file_path(), "the vision projector's GGUF file")
    mmproj_offload: bool | None = option(None, kinds.switch(), "the projector uses the GPU")
    image_min_tokens: int | None = option(None, kinds.whole(1), "least tokens of an image")
    image_max_tokens: int | None = option(None, kinds.whole(1), "most tokens of an image")
    override_kv: str | None = option(None, kinds.text(), "key=type:value of the header, …")
    rope_scaling: str | None = option(
        None, kinds.one_of("none", "linear", "yarn"), "how positions stretch"
    )
    rope_scale: float | None = option(None, kinds.real(0.001), "stretch the context by this factor")
    rope_freq_base: float | None = option(None, kinds.real(0), "RoPE base frequency")
    yarn_orig_ctx: int | None = option(None, kinds.whole(0), "context before stretching")
    yarn_ext_factor: float | None = option(None, kinds.real(), "extrapolation mix")
    yarn_attn_factor: float | None = option(None, kinds.real(), "attention magnitude")
    yarn_beta_fast: float | None = option(None, kinds.real(), "low correction dimension")
    yarn_beta_slow: float | None = option(None, kinds.real(), "high correction dimension")
    speculative: Speculative | None = option(None, _SPECULATIVE, "guess tokens ahead")
    # Chat.
    chat_template: str | None = option(None, kinds.template(), "instead of the model's own")
    chat_template_file: Path | None = option(None, kinds.file_path(), "the same, from a file")
    chat_template_kwargs: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "values the template reads, such as {enable_thinking: false}"
    )
    prefill_assistant: bool | None = option(
        None, kinds.switch(), "go on with a last message of the assistant"
    )
    reasoning: str | None = option(None, kinds.one_of("auto", "on", "off"), "thinking")
    reasoning_format: str | None = option(
        None, kinds.one_of("none", "auto", "deepseek", "deepseek-legacy"), "where thoughts go"
    )
    reasoning_budget: int | None = option(None, kinds.whole(-1), "most tokens of thinking")
    reasoning_budget_message: str | None = option(None, kinds.text(), "said when that is spent")
    # What a request gets that doesn't say.
    max_tokens: int | None = option(None, kinds.whole(1), "longest answer of a silent request")
    seed: int | None = option(None, kinds.whole(0, 2**32 - 2), "sampling seed")
    temperature: float | None = option(None, kinds.real(0), "sampling temperature")
    top_k: int | None = option(None, kinds.whole(0), "top-k sampling")
    top_p: float | None = option(None, kinds.real(0, 1), "top-p sampling")
    min_p: float | None = option(None, kinds.real(0, 1), "min-p sampling")
    repeat_penalty: float | None = option(None, kinds.real(0), "penalty on repeated tokens")
    presence_penalty: float | None = option(None, kinds.real(-2, 2), "penalty on present tokens")
    frequency_penalty: float | None = option(None, kinds.real(-2, 2), "penalty on frequent tokens")
    # Its log.
    verbosity: int = option(2, kinds.whole(0, 5), "1 errors, 2 warnings, 3 information, 5 all")


def complete(given: Mapping[str, Any], machine: Machine) -> Options:
    """`given`, checked, with the rest as `machine` suggests.

    Raises:
        EngineOptionError: an unknown option, a wrong value or two that exclude each other.
    """
    suggested = {"threads": machine.cores, "parallel": _parallel(machine)}
    if not machine.gpus:
        # llama.cpp answers nobody while it works on one batch, and on a CPU its 2048 tokens
        # take seconds; as many as it computes in one go cost no throughput.
        suggested["batch_size"] = UBATCH
    options = read(Options, {**suggested, **given}, "")
    _reject_conflicts(options)
    return options


def _parallel(machine: Machine) -> int:
    """Decoding is bound by memory: a batch costs little more than one, and a GPU has room."""
    if machine.gpus:
        return 16
    return 4 if machine.cores < 8 else 8


def read(cls: type[_T], given: Mapping[str, Any], prefix: str) -> _T:
    """An instance of the dataclass `cls` from raw values; None means not given."""
    known = {item.name: item.metadata["kind"] for item in fields(cls)}  # type: ignore[arg-type]
    values = {}
    for name, raw in given.items():
        if name not in known:
            raise _unknown(f"{prefix}{name}", name, list(known))
        if raw is not None:
            values[name] = _read_value(f"{prefix}{name}", raw, known[name])
    return cls(**values)


def _unknown(shown: str, name: str, known: list[str]) -> EngineOptionError:
    close = difflib.get_close_matches(name, known, n=1)
    return EngineOptionError(
        f"the llamacpp engine has no option {shown!r}",
        hint=f"did you mean {close[0]!r}?" if close else f"its options: {', '.join(known)}",
    )


def _read_value(name: str, raw: Any, kind: Kind) -> Any:
    try:
        return kind.parse(raw)
    except (ValueError, TypeError, OverflowError):
        raise EngineOptionError(
            f"the llamacpp option {name!r} is {raw!r}, expected {kind.expected}",
            hint="correct the model's options",
        ) from None


def _reject_conflicts(options: Options) -> None:
    if options.chat_template and options.chat_template_file:
        raise EngineOptionError(
            "the llamacpp options 'chat_template' and 'chat_template_file' exclude each other",
            hint="keep the one that holds the template",
        )
    if options.speculative:
        _reject_foreign(options.speculative)


def _reject_foreign(guess: Speculative) -> None:
    """A setting the method doesn't have would be ignored in silence."""
    method = METHODS[guess.method]
    if method.needs_model and guess.model is None:
        raise EngineOptionError(
            f"the llamacpp option 'speculative.method' {guess.method!r} needs a draft model",
            hint="set speculative.model to its GGUF file",
        )
    for item in fields(guess):
        if item.name == "method" or getattr(guess, item.name) is None:
            continue
        if item.name not in method.settings:
            raise EngineOptionError(
                f"the method {guess.method!r} has no option 'speculative.{item.name}'",
                hint=f"it has {', '.join(method.settings) or 'none'}",
            )

"""Options as llama-server's command line. Pure: the golden tests hold every flag."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pilotlight.engines.llamacpp.options import Adapter, Options, Speculative
from pilotlight.engines.llamacpp.sizing import Sizing
from pilotlight.engines.llamacpp.speculation import METHODS
from pilotlight.errors import EngineOptionError

# Flags that take the option's value as it is written.
VALUES: Mapping[str, str] = {
    "cache_type_k": "--cache-type-k",
    "cache_type_v": "--cache-type-v",
    "context_checkpoints": "--ctx-checkpoints",
    "cache_reuse": "--cache-reuse",
    "slot_prompt_similarity": "--slot-prompt-similarity",
    "threads": "--threads",
    "threads_batch": "--threads-batch",
    "flash_attention": "--flash-attn",
    "gpu_layers": "--gpu-layers",
    "split_mode": "--split-mode",
    "main_gpu": "--main-gpu",
    "cpu_moe_layers": "--n-cpu-moe",
    "override_tensor": "--override-tensor",
    "device": "--device",
    "mmproj": "--mmproj",
    "image_min_tokens": "--image-min-tokens",
    "image_max_tokens": "--image-max-tokens",
    "override_kv": "--override-kv",
    "rope_scaling": "--rope-scaling",
    "rope_scale": "--rope-scale",
    "rope_freq_base": "--rope-freq-base",
    "yarn_orig_ctx": "--yarn-orig-ctx",
    "yarn_ext_factor": "--yarn-ext-factor",
    "yarn_attn_factor": "--yarn-attn-factor",
    "yarn_beta_fast": "--yarn-beta-fast",
    "yarn_beta_slow": "--yarn-beta-slow",
    "chat_template": "--chat-template",
    "chat_template_file": "--chat-template-file",
    "reasoning": "--reasoning",
    "reasoning_format": "--reasoning-format",
    "reasoning_budget": "--reasoning-budget",
    "reasoning_budget_message": "--reasoning-budget-message",
    "max_tokens": "--n-predict",
    "seed": "--seed",
    "temperature": "--temperature",
    "top_k": "--top-k",
    "top_p": "--top-p",
    "min_p": "--min-p",
    "repeat_penalty": "--repeat-penalty",
    "presence_penalty": "--presence-penalty",
    "frequency_penalty": "--frequency-penalty",
    "verbosity": "--log-verbosity",
}

# Switches: the flag for on and the one for off (empty where off is llama.cpp's default).
SWITCHES: Mapping[str, tuple[str, str]] = {
    "swa_full": ("--swa-full", ""),
    "context_shift": ("--context-shift", "--no-context-shift"),
    "repack": ("--repack", "--no-repack"),
    "warmup": ("--warmup", "--no-warmup"),
    "kv_offload": ("--kv-offload", "--no-kv-offload"),
    "mmproj_offload": ("--mmproj-offload", "--no-mmproj-offload"),
    "prefill_assistant": ("--prefill-assistant", "--no-prefill-assistant"),
}

LOAD_MODES: Mapping[tuple[bool | None, bool], str] = {
    (None, True): "mmap+mlock",
    (True, True): "mmap+mlock",
    (False, True): "mlock",
    (True, False): "mmap",
    (False, False): "none",
}
"""By (mmap, mlock); absent where nothing was chosen."""


UNQUOTABLE = frozenset(',:"')
"""What the adapters' flags separate by, and can't have in a path."""

MIB = 2**20


def flags(options: Options, sizing: Sizing, offloads: bool) -> tuple[str, ...]:
    """Everything but where to listen and what to load.

    `offloads` says whether accelerators take part: only then may llama.cpp fit
    the layers to their memory, for that costs a second load.
    """
    return (
        *_size(options, sizing),
        *_values(options),
        *_switches(options),
        *_model(options, sizing),
        *_chat(options),
        "--fit",
        "on" if offloads and options.gpu_layers in (None, "auto") else "off",
    )


def refuse(options: Options) -> None:
    """The adapters' flags separate by comma and colon and can't quote them.

    Raises:
        EngineOptionError: a path that llama-server would take apart.
    """
    for adapter in options.lora:
        if UNQUOTABLE & set(str(adapter.path)):
            raise EngineOptionError(
                f"the option 'lora' names {str(adapter.path)!r}, and llama-server can't take a "
                "path with a comma, a colon or a quote",
                hint="rename the file, or use the xllamacpp wheel (engines.llamacpp.prefer: wheel)",
            )


def _size(options: Options, sizing: Sizing) -> Iterator[str]:
    yield from ("--ctx-size", str(sizing.n_ctx), "--parallel", str(sizing.slots))
    yield from ("--batch-size", str(sizing.batch), "--ubatch-size", str(sizing.ubatch))
    yield from ("--cache-ram", str(options.cache_ram // MIB))
    if options.kv_unified:
        yield from ("--kv-unified", "--kv-unified-per-slot", str(sizing.n_ctx // sizing.slots))
    else:
        yield "--no-kv-unified"


def _values(options: Options) -> Iterator[str]:
    for name, flag in VALUES.items():
        if (value := getattr(options, name)) is not None:
            yield from (flag, str(value))
    if options.tensor_split:
        yield from ("--tensor-split", ",".join(f"{share:g}" for share in options.tensor_split))


def _switches(options: Options) -> Iterator[str]:
    for name, (on, off) in SWITCHES.items():
        value = getattr(options, name)
        if value is not None and (flag := on if value else off):
            yield flag
    if mode := LOAD_MODES.get((options.mmap, bool(options.mlock))):
        yield from ("--load-mode", mode)


def _model(options: Options, sizing: Sizing) -> Iterator[str]:
    if sizing.embeds:
        yield "--embedding"
    if sizing.pooling:
        yield from ("--pooling", sizing.pooling)
    if options.lora:
        yield from _lora(options.lora)
    if options.speculative:
        yield from _speculative(options.speculative)


def _lora(adapters: tuple[Adapter, ...]) -> Iterator[str]:
    if all(adapter.scale == 1.0 for adapter in adapters):
        yield from ("--lora", ",".join(str(adapter.path) for adapter in adapters))
    else:
        yield "--lora-scaled"
        yield ",".join(f"{adapter.path}:{adapter.scale!r}" for adapter in adapters)


def _speculative(guess: Speculative) -> Iterator[str]:
    method = METHODS[guess.method]
    yield from ("--spec-type", method.name)
    for name, (flag, _) in method.settings.items():
        if (value := getattr(guess, name)) is not None:
            yield from (flag, str(value))


def _chat(options: Options) -> Iterator[str]:
    if options.chat_template_kwargs:
        yield from ("--chat-template-kwargs", json.dumps(options.chat_template_kwargs))

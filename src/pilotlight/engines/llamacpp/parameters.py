"""Options as parameters of the xllamacpp wheel. Pure: the golden tests hold every one.

A parameter is named by its path under ``CommonParams`` and holds plain JSON;
an enumeration's member is held by its name. host.py assigns them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pilotlight.engines.llamacpp.flags import LOAD_MODES, MIB
from pilotlight.engines.llamacpp.options import Options, Speculative
from pilotlight.engines.llamacpp.sizing import Sizing
from pilotlight.engines.llamacpp.speculation import METHODS
from pilotlight.errors import EngineOptionError

REFUSED = ("device", "override_kv")
"""Options that the wheel's parameters have no place for."""

# Parameters that take the option's value as it is.
VALUES: Mapping[str, str] = {
    "context_checkpoints": "n_ctx_checkpoints",
    "cache_reuse": "n_cache_reuse",
    "slot_prompt_similarity": "slot_prompt_similarity",
    "main_gpu": "main_gpu",
    "override_tensor": "tensor_buft_overrides",
    "swa_full": "swa_full",
    "context_shift": "ctx_shift",
    "warmup": "warmup",
    "mmproj": "mmproj.path",
    "mmproj_offload": "mmproj_use_gpu",
    "image_min_tokens": "image_min_tokens",
    "image_max_tokens": "image_max_tokens",
    "rope_freq_base": "rope_freq_base",
    "yarn_orig_ctx": "yarn_orig_ctx",
    "yarn_ext_factor": "yarn_ext_factor",
    "yarn_attn_factor": "yarn_attn_factor",
    "yarn_beta_fast": "yarn_beta_fast",
    "yarn_beta_slow": "yarn_beta_slow",
    "chat_template": "chat_template",
    "prefill_assistant": "prefill_assistant",
    "reasoning_budget": "sampling.reasoning_budget_tokens",
    "reasoning_budget_message": "sampling.reasoning_budget_message",
    "max_tokens": "n_predict",
    "seed": "sampling.seed",
    "temperature": "sampling.temp",
    "top_k": "sampling.top_k",
    "top_p": "sampling.top_p",
    "min_p": "sampling.min_p",
    "repeat_penalty": "sampling.penalty_repeat",
    "presence_penalty": "sampling.penalty_present",
    "frequency_penalty": "sampling.penalty_freq",
    "verbosity": "verbosity",
}


def _member(prefix: str, names: Mapping[str, str] | None = None) -> Callable[[Any], str]:
    return lambda value: prefix + ((names or {}).get(value) or str(value).upper())


_FLASH = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}
_REASONING_FORMAT = {"deepseek-legacy": "DEEPSEEK_LEGACY"}
_LOAD_MODE = {"mmap+mlock": "MMAP_MLOCK"}
_LAYERS = {"auto": -1, "all": -2}

# Parameters that take the value in another form.
FORMS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "cache_type_k": ("cache_type_k", _member("GGML_TYPE_")),
    "cache_type_v": ("cache_type_v", _member("GGML_TYPE_")),
    "flash_attention": ("flash_attn_type", _member("LLAMA_FLASH_ATTN_TYPE_", _FLASH)),
    "split_mode": ("split_mode", _member("LLAMA_SPLIT_MODE_")),
    "rope_scaling": ("rope_scaling_type", _member("LLAMA_ROPE_SCALING_TYPE_")),
    "rope_scale": ("rope_freq_scale", lambda factor: 1.0 / factor),
    "reasoning_format": (
        "reasoning_format",
        _member("COMMON_REASONING_FORMAT_", _REASONING_FORMAT),
    ),
    "repack": ("no_extra_bufts", lambda wanted: not wanted),
    "kv_offload": ("no_kv_offload", lambda wanted: not wanted),
    "gpu_layers": ("n_gpu_layers", lambda layers: _LAYERS.get(layers, layers)),
    "tensor_split": ("tensor_split", list),
    "chat_template_file": ("chat_template", lambda path: path.read_text()),
}

# common_params_sampling_config: which sampling settings the model's own header must not replace.
_CHOSEN = {"top_k": 2, "top_p": 4, "min_p": 8, "temperature": 64, "repeat_penalty": 256}

_EXPERTS = r"blk\.{layer}\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
"""llama.cpp's own pattern for one layer's experts (common.h)."""


def parameters(options: Options, sizing: Sizing, offloads: bool) -> dict[str, Any]:
    """Everything but where to listen and what to load.

    Raises:
        EngineOptionError: an option that only llama-server can do, by name.
    """
    refuse(options)
    return {
        **_size(options, sizing),
        **_values(options),
        **_processors(options),
        **_model(options, sizing),
        **_chat(options),
        "fit_params": offloads and options.gpu_layers in (None, "auto"),
    }


def refuse(options: Options) -> None:
    for name in REFUSED:
        if getattr(options, name) is not None:
            raise EngineOptionError(
                f"the xllamacpp wheel has no way to set the option {name!r}",
                hint="drop it, or use a llama-server (engines.llamacpp.server)",
            )


def _size(options: Options, sizing: Sizing) -> dict[str, Any]:
    per_slot = sizing.n_ctx // sizing.slots
    return {
        "n_ctx": sizing.n_ctx,
        "n_parallel": sizing.slots,
        "n_batch": sizing.batch,
        "n_ubatch": sizing.ubatch,
        "cache_ram_mib": options.cache_ram // MIB,
        "kv_unified": options.kv_unified,
        "kv_unified_per_slot": per_slot if options.kv_unified else 0,
    }


def _values(options: Options) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, path in VALUES.items():
        if (value := getattr(options, name)) is not None:
            given[path] = str(value) if name == "mmproj" else value
    for name, (path, form) in FORMS.items():
        if (value := getattr(options, name)) is not None:
            given[path] = form(value)
    if chosen := sum(bit for name, bit in _CHOSEN.items() if getattr(options, name) is not None):
        given["sampling.user_sampling_config"] = chosen
    return given


def _processors(options: Options) -> dict[str, Any]:
    given: dict[str, Any] = {
        "cpuparams.n_threads": options.threads,
        "cpuparams_batch.n_threads": options.threads_batch or options.threads,
    }
    if mode := LOAD_MODES.get((options.mmap, bool(options.mlock))):
        given["load_mode"] = _member("LLAMA_LOAD_MODE_", _LOAD_MODE)(mode)
    if options.cpu_moe_layers:
        experts = [_EXPERTS.format(layer=layer) for layer in range(options.cpu_moe_layers)]
        own = [options.override_tensor] if options.override_tensor else []
        given["tensor_buft_overrides"] = ",".join(own + experts)
    return given


def _model(options: Options, sizing: Sizing) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if sizing.embeds:
        given["embedding"] = True
    if sizing.pooling:
        given["pooling_type"] = f"LLAMA_POOLING_TYPE_{sizing.pooling.upper()}"
    if options.lora:
        given["lora_adapters"] = [
            {"path": str(adapter.path), "scale": adapter.scale} for adapter in options.lora
        ]
    if options.speculative:
        given.update(_speculative(options.speculative))
    return given


def _speculative(guess: Speculative) -> dict[str, Any]:
    method = METHODS[guess.method]
    given: dict[str, Any] = {"speculative.types": [f"COMMON_SPECULATIVE_TYPE_{method.enum}"]}
    for name, (_, path) in method.settings.items():
        if (value := getattr(guess, name)) is not None:
            given[path] = _draft_form(name, value)
    return given


def _draft_form(name: str, value: Any) -> Any:
    if name in FORMS:
        return FORMS[name][1](value)
    return str(value) if name == "model" else value


def _chat(options: Options) -> dict[str, Any]:
    """Template values are JSON texts; ``--reasoning`` is one of them and a parameter."""
    values = {
        name: json.dumps(value) for name, value in (options.chat_template_kwargs or {}).items()
    }
    given: dict[str, Any] = {}
    if options.reasoning in ("on", "off"):
        values["enable_thinking"] = "true" if options.reasoning == "on" else "false"
        given["enable_reasoning"] = 1 if options.reasoning == "on" else 0
    if values:
        given["default_template_kwargs"] = values
    return given

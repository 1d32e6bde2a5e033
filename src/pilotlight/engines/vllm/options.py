"""What can be set about vLLM for one model, by vLLM's own names.

None leaves a choice to vLLM. Names that other engines have for the same thing
(`context`, `parallel`) are taken too, so that a model may change its engine and
keep its options. Where each option goes is in flags.py and variables.py.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pilotlight.engines.given import Reader, option
from pilotlight.engines.llamacpp import kinds
from pilotlight.engines.vllm import own_kinds
from pilotlight.errors import EngineOptionError
from pilotlight.machine import Machine

ALIASES: Mapping[str, str] = {"context": "max_model_len", "parallel": "max_num_seqs"}
"""What other engines call the same thing. Both are limits: given under both names, the smaller
holds, so that whoever knows only the common ones can make any model smaller."""

_OURS = "Pilotlight sets it"
ELSEWHERE: Mapping[str, str] = {
    "swap_space": "preempted requests are computed again; kv_offloading_size moves cache to RAM",
    "device": "the installed build decides: see pilotlight engines list",
    "enable_sleep_mode": "set sleep_level to 1 or 2",
    "cpu_kvcache_space": "set kv_cache_memory_bytes, such as 4GiB",
    "VLLM_CPU_KVCACHE_SPACE": "set kv_cache_memory_bytes, such as 4GiB",
    "num_speculative_tokens": "set it within speculative_config",
    "model": "the model's ref says what to run",
    "served_model_name": "the model's name and its aliases are served",
    **dict.fromkeys(("host", "port", "uds", "api_key", "middleware", "ssl_keyfile"), _OURS),
}
"""What users of vLLM look for and this engine has elsewhere or not at all, with the next step."""

DTYPES = ("auto", "bfloat16", "float", "float16", "float32", "half")
CACHE_DTYPES = (
    "auto", "bfloat16", "float16", "fp8", "fp8_ds_mla", "fp8_e4m3", "fp8_e5m2", "fp8_inc",
    "fp8_per_token_head", "int4_per_token_head", "int8_per_token_head", "nvfp4", "nvfp4_4over6",
    "nvfp4_ds_mla", "turboquant_3bit_nc", "turboquant_4bit_nc", "turboquant_k3v4_nc",
    "turboquant_k8v4", "ultraquant_4bit",
)  # fmt: skip
LOAD_FORMATS = (
    "auto", "safetensors", "fastsafetensors", "runai_streamer", "runai_streamer_sharded",
    "instanttensor", "tensorizer", "sharded_state", "mistral", "modelexpress", "ipc_cache",
    "npcache", "pt", "dummy",
)  # fmt: skip
PICKLED = ("npcache", "pt")
"""Formats whose files run code as they are read; only these names ask for them."""


LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
DEFAULT_LORA_RANK = 16
"""vLLM's own."""

LORAS_IN_BATCH = 4
"""vLLM's one would make requests for two adapters wait for each other."""

LORAS_KEPT = 16
"""Past as many as it keeps, vLLM reads one from its file again whenever it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One model's options."""

    # How much fits.
    max_model_len: int | None = option(
        None, kinds.whole(1), "tokens one request may use; else the model's own (4096 on a CPU)"
    )
    max_num_seqs: int = option(256, kinds.whole(1, 4096), "requests worked on at once")
    max_num_batched_tokens: int | None = option(
        None, kinds.whole(1), "most tokens computed in one step"
    )
    gpu_memory_utilization: float | None = option(
        None, kinds.real(0.01, 1), "share of each GPU's memory that vLLM takes"
    )
    kv_cache_memory_bytes: int | None = option(
        None, kinds.size(), "the cache's own size, by GPU or on the CPU; goes before utilization"
    )
    kv_cache_dtype: str | None = option(None, kinds.one_of(*CACHE_DTYPES), "type of the cache")
    block_size: int | None = option(None, kinds.whole(1, 1024), "tokens in a block of the cache")
    kv_offloading_size: float | None = option(
        None, kinds.real(0), "GiB of RAM that blocks leaving the GPU's cache move to"
    )
    cpu_offload_gb: float | None = option(
        None, kinds.real(0), "GiB of weights kept in RAM for each GPU"
    )
    # Scheduling and reuse of prompts.
    enable_prefix_caching: bool | None = option(None, kinds.switch(), "reuse equal beginnings")
    prefix_caching_hash_algo: str | None = option(
        None, kinds.one_of("sha256", "sha256_cbor", "xxhash", "xxhash_cbor"), "hash of its blocks"
    )
    enable_chunked_prefill: bool | None = option(
        None, kinds.switch(), "read long prompts piece by piece among running answers"
    )
    long_prefill_token_threshold: int | None = option(
        None, kinds.whole(0), "a prompt over this is long"
    )
    scheduling_policy: str | None = option(
        None, kinds.one_of("fcfs", "priority"), "who goes first; priority takes the request's word"
    )
    async_scheduling: bool | None = option(None, kinds.switch(), "schedule while the GPU computes")
    stream_interval: int | None = option(None, kinds.whole(1), "tokens in each streamed event")
    # Processors.
    tensor_parallel_size: int = option(1, kinds.whole(1, 1024), "GPUs that share each layer")
    pipeline_parallel_size: int = option(1, kinds.whole(1, 1024), "GPUs that take layers in turn")
    data_parallel_size: int = option(1, kinds.whole(1, 1024), "copies of the model in the replica")
    enable_expert_parallel: bool | None = option(
        None, kinds.switch(), "spread experts over GPUs instead of cutting them"
    )
    distributed_executor_backend: str | None = option(
        None, kinds.one_of("mp", "ray", "uni"), "what runs the workers"
    )
    disable_custom_all_reduce: bool | None = option(
        None, kinds.switch(), "leave the exchange between GPUs to NCCL"
    )
    threads: int | None = option(
        None, kinds.whole(1, 1024), "threads that compute on a CPU; else all cores"
    )
    attention_backend: str | None = option(None, kinds.text(), "attention kernels, by vLLM's name")
    enforce_eager: bool | None = option(
        None, kinds.switch(), "no compilation: starts sooner, runs slower"
    )
    optimization_level: int | None = option(None, kinds.whole(0, 3), "how much to compile")
    compilation_config: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "vLLM's compilation settings"
    )
    performance_mode: str | None = option(
        None, kinds.one_of("balanced", "interactivity", "throughput"), "what to tune for"
    )
    # The model.
    runner: str | None = option(
        None, kinds.one_of("auto", "generate", "pooling"), "whether it generates or embeds"
    )
    convert: str | None = option(
        None, kinds.one_of("auto", "none", "embed", "classify"), "use a generating model so"
    )
    pooler_config: Mapping[str, Any] | None = option(None, kinds.mapping(), "how tokens are pooled")
    dtype: str | None = option(None, kinds.one_of(*DTYPES), "type of weights and activations")
    quantization: str | None = option(None, kinds.text(), "how weights are quantized")
    load_format: str | None = option(None, kinds.one_of(*LOAD_FORMATS), "how weights are read")
    model_loader_extra_config: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "settings of the loader, such as {concurrency: 16}"
    )
    safetensors_load_strategy: str | None = option(
        None, kinds.one_of("lazy", "eager", "prefetch", "torchao"), "how safetensors are read"
    )
    model_impl: str | None = option(
        None, kinds.one_of("auto", "vllm", "transformers", "terratorch"), "whose model code"
    )
    tokenizer: str | None = option(None, kinds.text(), "directory of another tokenizer")
    tokenizer_mode: str | None = option(None, kinds.text(), "kind of tokenizer, by vLLM's name")
    config_format: str | None = option(
        None, kinds.one_of("auto", "hf", "mistral"), "how the configuration is written"
    )
    hf_overrides: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "values in place of those in config.json"
    )
    trust_remote_code: bool = option(False, kinds.switch(), "run Python code of the model's own")
    disable_sliding_window: bool | None = option(None, kinds.switch(), "attend to everything")
    seed: int | None = option(None, kinds.whole(0), "sampling seed")
    # Adapters and guessing ahead.
    enable_lora: bool = option(False, kinds.switch(), "LoRA adapters can be laid over the model")
    max_loras: int | None = option(None, kinds.whole(1), "adapters in one batch; else 4")
    max_lora_rank: int | None = option(
        None, own_kinds.whole_of(*LORA_RANKS), "highest rank of an adapter"
    )
    max_cpu_loras: int | None = option(None, kinds.whole(1), "adapters kept in RAM; else 16")
    fully_sharded_loras: bool | None = option(None, kinds.switch(), "cut adapters as the model is")
    speculative_config: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "guess tokens ahead, such as {method: ngram, …}"
    )
    # Images and other media.
    limit_mm_per_prompt: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "most items of each kind, such as {image: 4}"
    )
    mm_processor_kwargs: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "settings of the model's processor"
    )
    mm_processor_cache_gb: float | None = option(
        None, kinds.real(0), "GiB for processed media of earlier requests"
    )
    allowed_media_domains: tuple[str, ...] = option(
        (), own_kinds.words(), "hosts that vLLM may fetch images from; else none"
    )
    # Chat.
    chat_template: Path | None = option(None, kinds.file_path(), "a template instead of its own")
    chat_template_content_format: str | None = option(
        None, kinds.one_of("auto", "openai", "string"), "how the template takes content"
    )
    default_chat_template_kwargs: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "values the template reads, such as {enable_thinking: false}"
    )
    tool_call_parser: str | None = option(
        None, kinds.text(), "how this model writes tool calls; turns tools on"
    )
    tool_parser_plugin: Path | None = option(None, kinds.file_path(), "Python file of a parser")
    enable_auto_tool_choice: bool | None = option(
        None, kinds.switch(), "the model may choose a tool; on with a parser"
    )
    reasoning_parser: str | None = option(None, kinds.text(), "how this model writes its thoughts")
    max_logprobs: int | None = option(None, kinds.whole(0, 100), "most log probabilities a token")
    generation_config: str | None = option(
        None, kinds.text(), "auto (the model's own), vllm, or a directory"
    )
    override_generation_config: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "what a request gets that doesn't say, such as {temperature: 0.7}"
    )
    structured_outputs_config: Mapping[str, Any] | None = option(
        None, kinds.mapping(), "what forces an answer's shape, such as {backend: xgrammar}"
    )
    # The process.
    sleep_level: int | None = option(
        None, kinds.whole(0, 2), "asleep: 1 keeps weights in RAM, 2 drops them, 0 never; GPUs only"
    )
    env: tuple[tuple[str, str], ...] = option(
        (), own_kinds.variables(), "further environment variables, by name"
    )
    log_level: str = option(
        "info", kinds.one_of("debug", "info", "warning", "error"), "how much vLLM logs"
    )


def complete(given: Mapping[str, Any], machine: Machine, gpu: bool) -> Options:
    """`given`, checked, with the rest as the machine and the installed build suggest.

    Raises:
        EngineOptionError: an unknown option, a wrong value or two that exclude each other.
    """
    named = _renamed(given)
    _reject_unknown(named)
    options = Reader("vllm").read(Options, {**_suggested(machine, gpu), **named})
    _reject_conflicts(options, gpu)
    return _settled(options, gpu)


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """By vLLM's names."""
    kinds_by_name = {item.name: item.metadata["kind"] for item in fields(Options)}
    found = {name: raw for name, raw in given.items() if raw is not None}
    for alias, name in ALIASES.items():
        if alias in found:
            kind = kinds_by_name[name]
            limits = [
                _limit(each, found.pop(each), kind) for each in (alias, name) if each in found
            ]
            found[name] = min(limits)
    return found


def _limit(name: str, raw: Any, kind: kinds.Kind) -> int:
    """A wrong value is told by the name it was given under."""
    try:
        return int(kind.parse(raw))
    except (ValueError, TypeError, OverflowError):
        raise EngineOptionError(
            f"the vllm option {name!r} is {raw!r}, expected {kind.expected}",
            hint="correct the model's options",
        ) from None


def _suggested(machine: Machine, gpu: bool) -> dict[str, Any]:
    """On a CPU, decoding gains little past some thirty requests, and each keeps its cache."""
    return {} if gpu else {"max_num_seqs": 32, "threads": machine.cores}


def _settled(options: Options, gpu: bool) -> Options:
    if options.sleep_level is None:
        options = replace(options, sleep_level=1 if gpu else 0)
    if options.enable_auto_tool_choice is None and options.tool_call_parser:
        options = replace(options, enable_auto_tool_choice=True)
    return _with_lora_room(options) if options.enable_lora else options


def _with_lora_room(options: Options) -> Options:
    kept, at_once = options.max_cpu_loras, options.max_loras
    at_once = at_once or min(LORAS_IN_BATCH, kept or LORAS_IN_BATCH)
    return replace(options, max_loras=at_once, max_cpu_loras=kept or max(LORAS_KEPT, at_once))


def _reject_unknown(named: Mapping[str, Any]) -> None:
    known = [item.name for item in fields(Options)]
    for name in named:
        if name in known:
            continue
        if name in ELSEWHERE:
            raise EngineOptionError(f"the vllm engine has no option {name!r}", hint=ELSEWHERE[name])
        close = difflib.get_close_matches(str(name), [*known, *ALIASES], n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"its options: {', '.join(known)}"
        raise EngineOptionError(f"the vllm engine has no option {name!r}", hint=hint)


def _reject_conflicts(options: Options, gpu: bool) -> None:
    if not gpu and options.sleep_level:
        raise EngineOptionError(
            f"the vllm option 'sleep_level' is {options.sleep_level}, and vLLM can't sleep on a "
            "CPU: its worker ignores the request",
            hint="leave it out, and let an idle model go to zero (keep_alive)",
        )
    if gpu and options.threads is not None:
        raise EngineOptionError(
            f"the vllm option 'threads' is {options.threads}, and this vLLM computes on GPUs",
            hint="leave it out",
        )
    if options.enable_auto_tool_choice and not options.tool_call_parser:
        raise EngineOptionError(
            "the vllm option 'enable_auto_tool_choice' needs 'tool_call_parser'",
            hint="name the parser of this model's tool calls, such as hermes or llama3_json",
        )
    _reject_lora_conflicts(options, gpu)


def _reject_lora_conflicts(options: Options, gpu: bool) -> None:
    if options.enable_lora and not gpu and options.distributed_executor_backend == "ray":
        raise EngineOptionError(
            "the vllm option 'enable_lora' is on, and on a CPU with Ray's workers vLLM's adapters "
            "get into answers of the bare model",
            hint="leave distributed_executor_backend out",
        )
    at_once, kept = options.max_loras, options.max_cpu_loras
    if at_once and kept and kept < at_once:
        raise EngineOptionError(
            f"the vllm option 'max_cpu_loras' is {kept}, less than 'max_loras', {at_once}",
            hint="keep at least as many adapters as one batch may have",
        )
    for name in ("max_loras", "max_lora_rank", "max_cpu_loras", "fully_sharded_loras"):
        if getattr(options, name) is not None and not options.enable_lora:
            raise EngineOptionError(
                f"the vllm option {name!r} does nothing without 'enable_lora'",
                hint="set enable_lora to true",
            )

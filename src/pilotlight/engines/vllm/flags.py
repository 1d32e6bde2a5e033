"""Options as vLLM's command line. Pure: the golden tests hold every flag."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pilotlight.engines.vllm.options import Options
from pilotlight.engines.vllm.sizing import Sizing
from pilotlight.engines.vllm.variables import is_alone

OWN_WAY = frozenset({
    "max_model_len", "kv_cache_memory_bytes", "sleep_level", "env", "threads", "log_level",
    "distributed_executor_backend",
})  # fmt: skip
"""Options that are no flag of the same name, or whose value is settled first."""

_FIXED = (
    "--disable-uvicorn-access-log", "--disable-fastapi-docs", "--no-enable-log-requests",
    "--enable-prompt-tokens-details", "--allowed-origins", "[]",
)  # fmt: skip


def flags(options: Options, sizing: Sizing, *, gpu: bool) -> tuple[str, ...]:
    """Everything but what to load and where to listen; defaults of vLLM's own are left out."""
    return (*_FIXED, *_sizes(sizing), *_process(options, gpu), *_options(options))


def _sizes(sizing: Sizing) -> Iterator[str]:
    if sizing.max_model_len is not None:
        yield from ("--max-model-len", str(sizing.max_model_len))
    if sizing.kv_bytes is not None:
        yield from ("--kv-cache-memory-bytes", str(sizing.kv_bytes))


def _process(options: Options, gpu: bool) -> Iterator[str]:
    backend = options.distributed_executor_backend
    if backend is None and not gpu and is_alone(options):
        backend = "uni"
    if backend is not None:
        yield from ("--distributed-executor-backend", backend)
    if options.sleep_level:
        yield "--enable-sleep-mode"


def _options(options: Options) -> Iterator[str]:
    for item in fields(options):
        value = getattr(options, item.name)
        if item.name in OWN_WAY or value in (None, ()) or value == _QUIET.get(item.name, _MISSING):
            continue
        yield from _WRITTEN.get(type(value), _plain)("--" + item.name.replace("_", "-"), value)


_MISSING = object()
_QUIET: Mapping[str, Any] = {
    "trust_remote_code": False, "enable_lora": False, "tensor_parallel_size": 1,
    "pipeline_parallel_size": 1, "data_parallel_size": 1,
}  # fmt: skip
"""Our defaults that are vLLM's too, so that a command line says what somebody chose."""


def _plain(flag: str, value: Any) -> tuple[str, ...]:
    return (flag, str(value))


def _switch(flag: str, value: Any) -> tuple[str, ...]:
    return (flag if value else flag.replace("--", "--no-", 1),)


def _json(flag: str, value: Any) -> tuple[str, ...]:
    return (flag, json.dumps(value))


def _list(flag: str, value: Any) -> tuple[str, ...]:
    return (flag, *value)


_WRITTEN: Mapping[type, Callable[[str, Any], tuple[str, ...]]] = {
    bool: _switch,
    dict: _json,
    tuple: _list,
    Path: _plain,
}

"""The environment vLLM runs in. Pure: what isn't an option of its command line is set here.

In two parts, because a process may have imported vLLM before it knows its model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pilotlight.engines.vllm.options import Options

CACHE = "cache"
"""Beside vLLM's builds: what one start compiled, for the next."""

_FIXED: Mapping[str, str] = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",  # the store fetches; an engine never does
    "VLLM_CONFIGURE_LOGGING": "1",
    # The gateway's connections rest between requests; vLLM would close them after 5 s.
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
    # Clients may call a model by an alias, and the gateway has checked the name.
    "VLLM_SKIP_MODEL_NAME_VALIDATION": "1",
}

_CPU: Mapping[str, str] = {
    # vLLM 0.32 can't load again what it saves here on a CPU ("'function' object has no attribute
    # 'finalize_loading'") and compiles anew; Inductor's own cache then does the job.
    "VLLM_USE_AOT_COMPILE": "0",
    # Its pinning assumes a machine of its own; threads are bounded by OMP_NUM_THREADS.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # vLLM sets it itself, and too late for an engine that was forked from its server.
    "TORCHINDUCTOR_CPP_DYNAMIC_THREADS": "1",
}

OWNED = frozenset({
    *_FIXED, *_CPU, "VLLM_API_KEY", "VLLM_SERVER_DEV_MODE", "VLLM_CACHE_ROOT", "VLLM_LOGGING_LEVEL",
    "VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_CPU_KVCACHE_SPACE", "TORCHINDUCTOR_CACHE_DIR",
    "OMP_NUM_THREADS", "ENGINE_SOCKET", "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
    "VLLM_ALLOW_INSECURE_SERIALIZATION", "VLLM_PLUGINS",
})  # fmt: skip
"""Variables that are set here or would open what is closed here; no option sets them."""


def at_start(
    options: Options, cache: Path, programs: Path, path: str, *, gpu: bool
) -> dict[str, str]:
    """What vLLM and its libraries may read as they are imported; all that users name is here.

    `programs` holds ninja and its like, and `path` is the PATH so far.
    """
    return {
        **_FIXED,
        **({} if gpu else _CPU),
        **({"OMP_NUM_THREADS": str(options.threads)} if options.threads and not gpu else {}),
        **dict(options.env),
        "VLLM_LOGGING_LEVEL": options.log_level.upper(),
        "VLLM_CACHE_ROOT": str(cache),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "PATH": f"{programs}:{path}",
        # A default of its command line is made of it.
        **({"VLLM_SERVER_DEV_MODE": "1"} if options.sleep_level else {}),
    }


def at_order(options: Options, *, gpu: bool) -> dict[str, str]:
    """What vLLM reads once it knows what to serve."""
    return {
        # One worker can live in the engine's own process: an interpreter less to start and keep.
        **({"VLLM_ENABLE_V1_MULTIPROCESSING": "0"} if is_alone(options) and not gpu else {}),
        **({"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"} if options.enable_lora else {}),
    }


def is_alone(options: Options) -> bool:
    """Whether one process computes everything."""
    sizes = (
        options.tensor_parallel_size, options.pipeline_parallel_size, options.data_parallel_size,
    )  # fmt: skip
    return sizes == (1, 1, 1) and options.distributed_executor_backend in (None, "uni")

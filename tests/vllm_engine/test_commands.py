"""The exact command line and environment, on a machine without and with GPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.vllm import VllmEngine, choose
from pilotlight.engines.vllm.engine import HOST
from pilotlight.errors import EngineMissingError, EngineStartError

from .checkpoints import write_model
from .conftest import MACHINE

FIXED = (
    "--disable-uvicorn-access-log", "--disable-fastapi-docs", "--no-enable-log-requests",
    "--enable-prompt-tokens-details", "--allowed-origins", "[]",
)  # fmt: skip


def test_on_a_processor(engine: VllmEngine, seat: Seat, files: ModelFiles, tmp_path: Path) -> None:
    job = ModelJob("tiny", files, engine.options({"context": 1024}))
    launch = engine.command(seat, job)
    root = tmp_path / "engines" / "vllm"
    assert launch.argv == (str(root / "abc" / "bin" / "python"), "-I", str(HOST))
    env = dict(launch.env)
    assert env.pop("PATH").startswith(f"{root / 'abc' / 'bin'}:")
    assert env == {
        "ENGINE_SOCKET": str(seat.socket),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CONFIGURE_LOGGING": "1",
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
        "VLLM_SKIP_MODEL_NAME_VALIDATION": "1",
        "VLLM_USE_AOT_COMPILE": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCHINDUCTOR_CPP_DYNAMIC_THREADS": "1",
        "OMP_NUM_THREADS": "2",
        "VLLM_API_KEY": "the-secret",
        "VLLM_LOGGING_LEVEL": "INFO",
        "VLLM_CACHE_ROOT": str(root / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(root / "cache" / "inductor"),
    }
    assert launch.channel
    assert not launch.tcp
    assert engine.order(job) == {
        "argv": [
            *("--model", str(files.path), "--served-model-name", "tiny"),
            *FIXED,
            # 8 blocks of 128 tokens for each of 4 requests and one more; 256 bytes a token.
            *("--max-model-len", "1024", "--kv-cache-memory-bytes", str(33 * 128 * 256)),
            *("--distributed-executor-backend", "uni", "--max-num-seqs", "32"),
        ],
        "env": {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"},
        "grows": True,
    }


def test_on_gpus(gpu_engine: VllmEngine, seat: Seat, files: ModelFiles) -> None:
    given = {
        "tensor_parallel_size": 2,
        "gpu_memory_utilization": 0.8,
        "load_format": "runai_streamer",
        "model_loader_extra_config": {"concurrency": 16},
        "speculative_config": {"method": "ngram", "num_speculative_tokens": 4},
        "enable_prefix_caching": False,
        "sleep_level": 2,
        "tool_call_parser": "hermes",
        "env": {"NCCL_P2P_DISABLE": "1"},
    }
    job = ModelJob("tiny", files, gpu_engine.options(given))
    order = gpu_engine.order(job)
    assert order["argv"][order["argv"].index("[]") + 1 :] == [
        "--enable-sleep-mode",
        *("--max-num-seqs", "256", "--gpu-memory-utilization", "0.8"),
        *("--no-enable-prefix-caching", "--tensor-parallel-size", "2"),
        *("--load-format", "runai_streamer"),
        *("--model-loader-extra-config", '{"concurrency": 16}'),
        *("--speculative-config", '{"method": "ngram", "num_speculative_tokens": 4}'),
        *("--tool-call-parser", "hermes", "--enable-auto-tool-choice"),
    ]
    assert not order["grows"]
    env = gpu_engine.command(seat, job).env
    assert env["VLLM_SERVER_DEV_MODE"] == "1"
    assert env["NCCL_P2P_DISABLE"] == "1"
    assert not {"VLLM_USE_AOT_COMPILE", "OMP_NUM_THREADS"} & env.keys()


def test_development_endpoints_are_off_without_sleep(
    gpu_engine: VllmEngine, seat: Seat, files: ModelFiles
) -> None:
    options = gpu_engine.options({"sleep_level": 0})
    job = ModelJob("tiny", files, options)
    assert "VLLM_SERVER_DEV_MODE" not in gpu_engine.command(seat, job).env
    assert "--enable-sleep-mode" not in gpu_engine.order(job)["argv"]
    assert not gpu_engine.capabilities(files, options).sleep


def test_several_ranks_on_a_processor_keep_processes_of_their_own(
    engine: VllmEngine, seat: Seat, files: ModelFiles
) -> None:
    options = engine.options({"tensor_parallel_size": 2})
    order = engine.order(ModelJob("tiny", files, options))
    assert "--distributed-executor-backend" not in order["argv"]
    assert order["env"] == {}
    assert not order["grows"]


def test_a_cache_of_its_own_size_goes_before_the_share_of_memory(
    engine: VllmEngine, seat: Seat, files: ModelFiles
) -> None:
    sized = engine.options({"kv_cache_memory_bytes": "1GiB"})
    argv = engine.order(ModelJob("tiny", files, sized))["argv"]
    assert argv[argv.index("--kv-cache-memory-bytes") + 1] == str(2**30)
    shared = engine.options({"gpu_memory_utilization": 0.5})
    argv = engine.order(ModelJob("tiny", files, shared))["argv"]
    assert "--kv-cache-memory-bytes" not in argv


def test_the_models_own_context_is_kept_where_it_is_short(
    engine: VllmEngine, seat: Seat, tmp_path: Path
) -> None:
    from .checkpoints import LLAMA

    short = write_model(tmp_path / "short", {**LLAMA, "max_position_embeddings": 512})
    options = engine.options({})
    assert engine.context(short, options) == 512
    assert "--max-model-len" not in engine.order(ModelJob("m", short, options))["argv"]


@pytest.fixture(params=["cpu", "cuda"])
def either(request: pytest.FixtureRequest, make: Callable[[str], VllmEngine]) -> VllmEngine:
    return make(request.param)


def test_a_standby_starts_as_a_model_without_options_does(
    either: VllmEngine, seat: Seat, files: ModelFiles
) -> None:
    bare = ModelJob("m", files, either.options({}))
    assert either.command(seat, None) == either.command(seat, bare)
    assert either.capabilities(files, bare.options).standby


LATE: list[dict[str, Any]] = [
    {"context": 1024, "parallel": 2},
    {"enable_lora": True},
    {"tensor_parallel_size": 2},
    {"enforce_eager": True, "load_format": "safetensors", "dtype": "float32"},
]


@pytest.mark.parametrize("given", LATE)
def test_what_is_told_late_leaves_a_standby_of_use(
    given: dict[str, Any], either: VllmEngine, files: ModelFiles
) -> None:
    assert either.capabilities(files, either.options(given)).standby


@pytest.mark.parametrize(
    "given", [{"threads": 1}, {"env": {"OMP_PROC_BIND": "true"}}, {"log_level": "debug"}]
)
def test_what_imports_read_needs_a_start_of_its_own(
    given: dict[str, Any], engine: VllmEngine, seat: Seat, files: ModelFiles
) -> None:
    options = engine.options(given)
    assert not engine.capabilities(files, options).standby
    launch = engine.command(seat, ModelJob("m", files, options))
    assert launch.env != engine.command(seat, None).env
    assert not set(launch.env) & set(engine.order(ModelJob("m", files, options))["env"])


@pytest.mark.parametrize("given", [{"sleep_level": 0}, {"env": {"CUDA_VISIBLE_DEVICES": "1"}}])
def test_on_gpus_too(given: dict[str, Any], gpu_engine: VllmEngine, files: ModelFiles) -> None:
    assert not gpu_engine.capabilities(files, gpu_engine.options(given)).standby


def test_without_an_install_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError) as caught:
        choose(tmp_path, MACHINE)
    assert caught.value.hint is not None
    assert "pilotlight engines install vllm" in caught.value.hint


def test_pickled_weights_are_asked_for_by_name(
    engine: VllmEngine, seat: Seat, tmp_path: Path
) -> None:
    bare = write_model(tmp_path / "bare", tensors={})
    (bare.path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(EngineStartError, match="no safetensors"):
        engine.command(seat, ModelJob("m", bare, engine.options({})))
    asked = engine.options({"load_format": "pt"})
    assert "pt" in engine.order(ModelJob("m", bare, asked))["argv"]


def test_a_file_is_no_model(engine: VllmEngine, seat: Seat, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    job = ModelJob("m", ModelFiles(write_model(tmp_path / "m").ref, file, 4), engine.options({}))
    with pytest.raises(EngineStartError, match="vLLM reads a directory"):
        engine.command(seat, job)

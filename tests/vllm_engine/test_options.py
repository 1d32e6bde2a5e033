"""Every option reaches the command line or the environment; what isn't one is refused by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelFiles
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.vllm import VllmEngine
from pilotlight.engines.vllm.options import Options
from pilotlight.errors import EngineOptionError


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Any]:
    """A value of each option that isn't its default."""
    file = tmp_path / "file"
    file.write_text("{{ messages }}")
    numbers = {
        "max_model_len": 2048, "max_num_seqs": 8, "max_num_batched_tokens": 4096,
        "gpu_memory_utilization": 0.5, "kv_cache_memory_bytes": "2GiB", "block_size": 16,
        "kv_offloading_size": 4, "cpu_offload_gb": 2, "long_prefill_token_threshold": 100,
        "stream_interval": 4, "tensor_parallel_size": 2, "pipeline_parallel_size": 2,
        "data_parallel_size": 2, "threads": 3, "optimization_level": 1, "seed": 7, "max_loras": 2,
        "max_lora_rank": 32, "max_cpu_loras": 4, "mm_processor_cache_gb": 1, "max_logprobs": 5,
        "sleep_level": 0,
    }  # fmt: skip
    words = {
        "kv_cache_dtype": "fp8", "prefix_caching_hash_algo": "xxhash",
        "scheduling_policy": "priority", "distributed_executor_backend": "ray",
        "attention_backend": "FLASH_ATTN", "performance_mode": "throughput", "runner": "pooling",
        "convert": "embed", "dtype": "float16", "quantization": "fp8",
        "load_format": "runai_streamer", "safetensors_load_strategy": "prefetch",
        "model_impl": "transformers", "tokenizer": "/somewhere", "tokenizer_mode": "hf",
        "config_format": "hf", "chat_template_content_format": "openai",
        "tool_call_parser": "hermes", "reasoning_parser": "qwen3", "generation_config": "vllm",
        "log_level": "debug",
    }  # fmt: skip
    switches = (
        "enable_prefix_caching", "enable_chunked_prefill", "async_scheduling",
        "enable_expert_parallel", "disable_custom_all_reduce", "enforce_eager",
        "trust_remote_code", "disable_sliding_window", "enable_lora", "fully_sharded_loras",
        "enable_auto_tool_choice",
    )  # fmt: skip
    mappings = {
        name: {"a": 1}
        for name in (
            "compilation_config", "pooler_config", "model_loader_extra_config", "hf_overrides",
            "speculative_config", "limit_mm_per_prompt", "mm_processor_kwargs",
            "default_chat_template_kwargs", "override_generation_config",
            "structured_outputs_config",
        )
    }  # fmt: skip
    others = {
        "allowed_media_domains": ["example.com"], "chat_template": str(file),
        "tool_parser_plugin": str(file), "env": {"VLLM_USE_V2": "1"},
    }  # fmt: skip
    return {**numbers, **words, **dict.fromkeys(switches, True), **mappings, **others}


def test_every_option_has_a_sample(samples: dict[str, Any]) -> None:
    assert set(samples) == {item.name for item in fields(Options)}


def test_every_option_changes_what_is_run(
    gpu_engine: VllmEngine, seat: Seat, files: ModelFiles, samples: dict[str, Any]
) -> None:
    def run(**given: Any) -> tuple[dict[str, Any], dict[str, str]]:
        job = ModelJob("m", files, gpu_engine.options(given))
        return gpu_engine.order(job), dict(gpu_engine.command(seat, job).env)

    needs = {
        "max_loras": {"enable_lora": True}, "max_lora_rank": {"enable_lora": True},
        "max_cpu_loras": {"enable_lora": True}, "fully_sharded_loras": {"enable_lora": True},
        "enable_auto_tool_choice": {"tool_call_parser": "hermes"},
    }  # fmt: skip
    # Threads are a processor's, and a parser turns the choice on by itself.
    elsewhere = {"threads", "enable_auto_tool_choice"}
    for name in samples.keys() - elsewhere:
        beside = needs.get(name, {})
        assert run(**beside, **{name: samples[name]}) != run(**beside), name
    off = run(tool_call_parser="hermes", enable_auto_tool_choice=False)
    assert off != run(tool_call_parser="hermes")


def test_every_option_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines" / "vllm.md").read_text()
    assert not [item.name for item in fields(Options) if f"`{item.name}`" not in page]


def test_threads_count_on_a_processor(engine: VllmEngine, seat: Seat, files: ModelFiles) -> None:
    launch = engine.command(seat, ModelJob("m", files, engine.options({"threads": 1})))
    assert launch.env["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("max_model_length", "did you mean 'max_model_len'?"),
        ("contxt", "did you mean 'context'?"),
        ("swap_space", "kv_offloading_size"),
        ("VLLM_CPU_KVCACHE_SPACE", "kv_cache_memory_bytes"),
        ("enable_sleep_mode", "sleep_level"),
        ("port", "Pilotlight sets it"),
        ("xyzzy", "its options: max_model_len"),
    ],
)
def test_an_unknown_option_is_refused(engine: VllmEngine, name: str, suggested: str) -> None:
    with pytest.raises(EngineOptionError) as caught:
        engine.options({name: 1})
    assert repr(name) in caught.value.message
    assert suggested in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"context": "a lot"}, "'context' is 'a lot'"),
        ({"max_model_len": 0}, "at least 1"),
        ({"gpu_memory_utilization": 1.5}, "from 0.01 to 1"),
        ({"max_lora_rank": 33, "enable_lora": True}, "one of 1, 8, 16"),
        ({"load_format": "potato"}, "runai_streamer"),
        ({"parallel": 0, "max_num_seqs": 4}, "'parallel' is 0"),
        ({"sleep_level": 1}, "can't sleep on a CPU"),
        ({"max_loras": 2}, "does nothing without 'enable_lora'"),
        ({"enable_auto_tool_choice": True}, "needs 'tool_call_parser'"),
        ({"env": {"VLLM_API_KEY": "mine"}}, "none that is set here"),
        ({"env": {"VLLM_SERVER_DEV_MODE": "1"}}, "none that is set here"),
        ({"env": {"LD_PRELOAD": "evil.so"}}, "variables VLLM_"),
        ({"env": {"PYTHONPATH": "/evil"}}, "variables VLLM_"),
        ({"trust_remote_code": "maybe"}, "on or off"),
    ],
)
def test_a_wrong_value_is_refused(engine: VllmEngine, given: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineOptionError) as caught:
        engine.options(given)
    assert words in caught.value.message


def test_other_engines_words_are_taken(engine: VllmEngine) -> None:
    options = engine.options({"context": 512, "parallel": 3, "threads": 1})
    assert (options.max_model_len, options.max_num_seqs, options.threads) == (512, 3, 1)
    assert engine.slots(options) == 3


def test_of_two_names_for_a_limit_the_smaller_holds(engine: VllmEngine) -> None:
    both = {"max_model_len": 4096, "context": 512, "max_num_seqs": 2, "parallel": 8}
    options = engine.options(both)
    assert (options.max_model_len, options.max_num_seqs) == (512, 2)


def test_a_gpu_has_no_threads_to_count(gpu_engine: VllmEngine) -> None:
    with pytest.raises(EngineOptionError, match="'threads'"):
        gpu_engine.options({"threads": 4})


def test_a_gpu_sleeps_unless_told_not_to(gpu_engine: VllmEngine) -> None:
    assert gpu_engine.options({}).sleep_level == 1
    assert gpu_engine.options({"sleep_level": 0}).sleep_level == 0

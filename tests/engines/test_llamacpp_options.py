"""Options are checked by name, completed from the machine, and never dropped on the way."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pilotlight.engines.llamacpp.flags import flags
from pilotlight.engines.llamacpp.options import Options, complete
from pilotlight.engines.llamacpp.parameters import REFUSED, parameters
from pilotlight.engines.llamacpp.sizing import size
from pilotlight.engines.llamacpp.speculation import METHODS
from pilotlight.errors import EngineOptionError
from pilotlight.machine import Machine

from .headers import header

MODEL = header(context_length=8192)


@pytest.fixture
def samples(tmp_path: Path) -> dict[str, Any]:
    """For every option a value that is not its default."""
    file = tmp_path / "file"
    file.write_text("{{ messages }}")
    return {
        "context": 1000, "parallel": 3, "batch_size": 1024, "ubatch_size": 128,
        "cache_type_k": "q8_0", "cache_type_v": "q4_0", "kv_unified": True, "swa_full": True,
        "context_shift": True, "context_checkpoints": 7, "cache_ram": "64MiB", "cache_reuse": 256,
        "slot_prompt_similarity": 0.5, "threads": 3, "threads_batch": 6,
        "flash_attention": "on", "mmap": False, "mlock": True, "repack": False, "warmup": True,
        "gpu_layers": 12, "split_mode": "row", "tensor_split": [3, 1], "main_gpu": 1,
        "kv_offload": False, "cpu_moe_layers": 2, "override_tensor": "exps=CPU", "device": "CUDA0",
        "embedding": True, "pooling": "cls", "lora": [str(file)], "mmproj": str(file),
        "mmproj_offload": False, "image_min_tokens": 16, "image_max_tokens": 512,
        "override_kv": "llama.rope.scale=float:2", "rope_scaling": "yarn", "rope_scale": 4,
        "rope_freq_base": 1e6, "yarn_orig_ctx": 4096, "yarn_ext_factor": 1.0,
        "yarn_attn_factor": 1.5, "yarn_beta_fast": 32, "yarn_beta_slow": 2,
        "speculative": "ngram-mod", "chat_template": "chatml", "chat_template_file": str(file),
        "chat_template_kwargs": {"enable_thinking": False}, "prefill_assistant": False,
        "reasoning": "off", "reasoning_format": "deepseek-legacy", "reasoning_budget": 100,
        "reasoning_budget_message": "enough", "max_tokens": 50, "seed": 7, "temperature": 0.2,
        "top_k": 5, "top_p": 0.5, "min_p": 0.2, "repeat_penalty": 1.1, "presence_penalty": 0.1,
        "frequency_penalty": 0.2, "verbosity": 4,
    }  # fmt: skip


def test_there_is_a_sample_of_every_option(samples: dict[str, Any]) -> None:
    assert set(samples) == {item.name for item in fields(Options)}


@pytest.mark.parametrize("name", [item.name for item in fields(Options)])
def test_every_option_reaches_both_programs(
    name: str, samples: dict[str, Any], machine: Machine
) -> None:
    plain, given = complete({}, machine), complete({name: samples[name]}, machine)
    assert flags(given, size(given, MODEL), False) != flags(plain, size(plain, MODEL), False)
    if name in REFUSED:
        with pytest.raises(EngineOptionError, match=name):
            parameters(given, size(given, MODEL), False)
    else:
        before = parameters(plain, size(plain, MODEL), False)
        assert parameters(given, size(given, MODEL), False) != before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"contxt": 4096}, ["'contxt'", "did you mean 'context'"]),
        ({"zzz": 1}, ["'zzz'", "its options", "context"]),
        ({"context": "many"}, ["'context'", "'many'", "a whole number of at least 1"]),
        ({"context": True}, ["'context'", "True"]),
        ({"parallel": 0}, ["'parallel'", "0", "from 1 to 256"]),
        ({"temperature": "nan"}, ["'temperature'", "a number"]),
        ({"flash_attention": "maybe"}, ["'maybe'", "auto, on, off"]),
        ({"gpu_layers": -1}, ["'gpu_layers'", "auto, all"]),
        ({"cache_ram": "-1"}, ["'cache_ram'", "512MiB"]),
        ({"chat_template": "llama3"}, ["'llama3'", "Jinja"]),
        ({"lora": "/no/such.gguf"}, ["'lora.path'", "/no/such.gguf", "existing file"]),
        ({"lora": [{"path": __file__, "scle": 2}]}, ["'lora.scle'", "'scale'"]),
        ({"tensor_split": []}, ["'tensor_split'", "[3, 1]"]),
        ({"speculative": "turbo"}, ["'speculative.method'", "'turbo'", "ngram-mod"]),
        ({"speculative": {"model": "x"}}, ["'speculative'", "method"]),
        ({"speculative": "draft"}, ["'draft'", "speculative.model"]),
        (
            {"speculative": {"method": "ngram-mod", "p_min": 0.5}},
            ["'ngram-mod'", "'speculative.p_min'", "ngram_size"],
        ),
    ],
)
def test_a_wrong_option_is_named_with_the_next_step(
    given: dict[str, Any], words: list[str], machine: Machine
) -> None:
    with pytest.raises(EngineOptionError) as caught:
        complete(given, machine)
    assert [word for word in words if word not in str(caught.value)] == []


def test_two_templates_exclude_each_other(machine: Machine) -> None:
    with pytest.raises(EngineOptionError, match="exclude each other"):
        complete({"chat_template": "chatml", "chat_template_file": __file__}, machine)


def test_written_values_are_read_as_meant(machine: Machine) -> None:
    options = complete(
        {"context": "2048", "flash_attention": True, "mmap": "off", "cache_ram": "1GiB"}, machine
    )
    assert (options.context, options.flash_attention, options.mmap) == (2048, "on", False)
    assert options.cache_ram == 2**30


def test_none_means_not_given(machine: Machine) -> None:
    assert complete({"parallel": None, "lora": None}, machine) == complete({}, machine)


def test_defaults_follow_the_machine(machine: Machine, gpu_machine: Machine) -> None:
    small, large = complete({}, machine), complete({}, gpu_machine)
    assert (small.threads, small.parallel, small.batch_size) == (2, 4, 512)
    assert (large.threads, large.parallel, large.batch_size) == (16, 16, None)


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_every_method_reaches_both_programs(method: str, machine: Machine) -> None:
    values: dict[str, Any] = {
        "model": __file__, "draft_max": 9, "draft_min": 2, "p_min": 0.5, "gpu_layers": 3,
        "cache_type_k": "q8_0", "cache_type_v": "q4_0", "ngram_size": 5, "ngram_min_hits": 2,
    }  # fmt: skip
    settings = METHODS[method].settings
    given = {"method": method} | {name: values[name] for name in settings}
    options = complete({"speculative": given}, machine)
    argv = flags(options, size(options, MODEL), False)
    assigned = parameters(options, size(options, MODEL), False)
    for flag, path in settings.values():
        assert flag in argv
        assert path in assigned
    assert argv[argv.index("--spec-type") + 1] == METHODS[method].name


@pytest.mark.parametrize(
    ("given", "trained", "context", "n_ctx"),
    [
        ({}, 8192, 4096, 4 * 4096),
        ({}, 2048, 2048, 4 * 2048),
        ({}, 1000, 1000, 4 * 1024),
        ({"context": 1000}, 8192, 1024, 4 * 1024),
        ({"context": 9000}, 8192, 8192, 4 * 8192),
        ({"context": 1, "parallel": 3}, 8192, 256, 3 * 256),
        (
            {"context": 9000, "override_kv": "llama.context_length=int:32768"},
            8192,
            9216,
            4 * 9216,
        ),
    ],
)
def test_context_is_what_llama_cpp_rounds_it_to(
    given: dict[str, Any], trained: int, context: int, n_ctx: int, machine: Machine
) -> None:
    sizing = size(complete(given, machine), header(context_length=trained))
    assert (sizing.context, sizing.n_ctx) == (context, n_ctx)


def test_an_embedding_model_computes_an_input_at_once(machine: Machine) -> None:
    bert = header("bert", context_length=2048, pooling_type=2)
    sizing = size(complete({}, machine), bert)
    assert (sizing.embeds, sizing.generates, sizing.pooling) == (True, False, None)
    assert (sizing.batch, sizing.ubatch) == (2048, 2048)


def test_pooling_by_the_last_token_needs_no_large_batch(machine: Machine) -> None:
    qwen = header("qwen3", context_length=32768, pooling_type=3)
    sizing = size(complete({}, machine), qwen)
    assert (sizing.embeds, sizing.generates, sizing.ubatch) == (True, False, 512)


def test_embeddings_of_a_chat_model_get_a_pooling(machine: Machine) -> None:
    sizing = size(complete({"embedding": "on"}, machine), MODEL)
    assert (sizing.embeds, sizing.generates, sizing.pooling) == (True, True, "mean")

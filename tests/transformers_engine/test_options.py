"""What may be set, what is refused, and what the machine suggests."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pilotlight.engines.transformers import TransformersEngine
from pilotlight.engines.transformers.options import Options, complete
from pilotlight.errors import EngineOptionError
from pilotlight.machine import Machine


def test_a_machine_without_a_gpu(machine: Machine) -> None:
    options = complete({}, machine)
    assert (options.threads, options.parallel, options.prefill_chunk) == (2, 4, 512)
    assert not options.trust_remote_code


def test_a_machine_with_gpus(gpu_machine: Machine) -> None:
    options = complete({}, gpu_machine)
    assert (options.threads, options.parallel, options.prefill_chunk) == (16, 16, 2048)
    on_cpu = complete({"device": "cpu"}, gpu_machine)
    assert (on_cpu.parallel, on_cpu.prefill_chunk) == (4, 512)


def test_every_option_takes_a_good_value(gpu_machine: Machine, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages }}")
    good: dict[str, Any] = {
        "context": "2048", "parallel": 3, "prefill_chunk": 64, "threads": 2, "dtype": "bfloat16",
        "device": "cuda:1", "device_map": {"model": 0}, "attn_implementation": "sdpa",
        "quantization": "bnb-4bit", "load_format": "pt", "trust_remote_code": True,
        "chat_template": "{{ messages }}", "chat_template_file": str(template),
        "chat_template_kwargs": {"enable_thinking": False}, "embedding": True, "pooling": "last",
        "max_tokens": 9, "seed": 1, "temperature": 0.5, "top_k": 4, "top_p": 0.5, "min_p": 0.1,
        "typical_p": 0.9, "repetition_penalty": 1.1, "presence_penalty": 1, "frequency_penalty": -1,
    }  # fmt: skip
    assert set(good) == {item.name for item in fields(Options)}
    for name, value in good.items():
        options = complete({name: value}, gpu_machine)
        assert getattr(options, name) != getattr(complete({}, gpu_machine), name), name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("context", "a lot"), ("context", 0), ("dtype", "int3"), ("device", "tpu"),
        ("device", "cpu:1"), ("device", "cuda:x"), ("device", 0), ("device_map", "everywhere"),
        ("device_map", {}), ("attn_implementation", "fast"), ("quantization", "q4_0"),
        ("trust_remote_code", "perhaps"), ("pooling", "sum"), ("temperature", -1),
        ("chat_template_file", "/no/such/file"), ("top_p", 2),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(name: str, value: Any, gpu_machine: Machine) -> None:
    with pytest.raises(EngineOptionError) as caught:
        complete({name: value}, gpu_machine)
    assert repr(name) in caught.value.message
    assert repr(value) in caught.value.message


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("contxt", "context"), ("trust_code", "trust_remote_code"), ("n_parallel", "parallel")],
)
def test_an_unknown_option_is_guessed_at(
    wrong: str, meant: str, engine: TransformersEngine
) -> None:
    with pytest.raises(EngineOptionError, match=wrong) as caught:
        engine.options({wrong: 1})
    assert meant in (caught.value.hint or "")


@pytest.mark.parametrize(
    "given", [{"device": "cuda"}, {"quantization": "bnb-8bit"},
              {"attn_implementation": "flash_attention_2"}], ids=str
)  # fmt: skip
def test_what_needs_a_gpu_is_refused_without_one(given: dict[str, Any], machine: Machine) -> None:
    with pytest.raises(EngineOptionError, match="no NVIDIA GPU"):
        complete(given, machine)


def test_options_that_exclude_each_other(gpu_machine: Machine, tmp_path: Path) -> None:
    template = tmp_path / "t"
    template.touch()
    pairs: list[dict[str, Any]] = [
        {"chat_template": "{{ x }}", "chat_template_file": str(template)},
        {"device": "cuda:0", "device_map": "auto"},
    ]
    for pair in pairs:
        with pytest.raises(EngineOptionError, match="exclude each other"):
            complete(pair, gpu_machine)


def test_the_page_lists_every_option() -> None:
    page = Path(__file__).parents[2] / "docs" / "engines" / "transformers.md"
    [table] = re.findall(r"\| for \| options \|\n(.*?)\n\n", page.read_text(), re.DOTALL)
    named = re.findall(r"`(\w+)`", table)
    assert sorted(named) == sorted(item.name for item in fields(Options))

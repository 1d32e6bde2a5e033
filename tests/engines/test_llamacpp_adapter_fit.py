"""A wrong adapter is refused from the headers, before it costs anybody's traffic a load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.gguf_lora import LORA, Value, Weights, write, zeros
from pilotlight.core import ModelFiles, ModelRef
from pilotlight.engines.base import Adapter, Adapts, ModelJob
from pilotlight.engines.llamacpp.server import ServerEngine
from pilotlight.engines.llamacpp.wheel import WheelEngine
from pilotlight.errors import AdapterError
from pilotlight.machine import Machine

I32, NVFP4 = 26, 40
QUERY, EMBEDDINGS = "blk.0.attn_q.weight", "token_embd.weight"
EXPERTS, UP = "blk.0.ffn_up_exps.weight", "blk.0.ffn_up.weight"

MODEL: Mapping[str, Value] = {
    "general.type": "model",
    "general.architecture": "llama",
    "llama.context_length": 512,
    "llama.block_count": 1,
}
WEIGHTS: Mapping[str, Weights] = {
    EMBEDDINGS: zeros(8, 20),
    QUERY: zeros(8, 16),
    EXPERTS: zeros(8, 12, 4),
    UP: Weights((64, 2), bytes(72), NVFP4),
    "blk.0.ffn_up.scale": zeros(1),
    "output.weight": zeros(8, 20),
}

FITS: Mapping[str, Weights] = {f"{QUERY}.lora_a": zeros(8, 2), f"{QUERY}.lora_b": zeros(2, 16)}


@pytest.fixture
def engine(machine: Machine) -> WheelEngine:
    return WheelEngine("1", Path("/site"), machine, lambda: False)


@pytest.fixture
def make_job(tmp_path: Path, engine: WheelEngine) -> Callable[..., ModelJob]:
    def make(
        metadata: Mapping[str, Value] = MODEL,
        tensors: Mapping[str, Weights] = WEIGHTS,
        **options: Any,
    ) -> ModelJob:
        files = write(tmp_path / "model.gguf", metadata, tensors)
        return ModelJob("base", files, engine.options(options))

    return make


Make = Callable[..., ModelJob]


def refusal(engine: Adapts, job: ModelJob, files: ModelFiles) -> str:
    with pytest.raises(AdapterError) as caught:
        engine.check_adapter(job, Adapter("pirate", files))
    assert caught.value.hint
    return str(caught.value)


def at(path: Path) -> ModelFiles:
    return ModelFiles(ModelRef("file", str(path)), path, 0)


@pytest.mark.parametrize(
    "tensors",
    [
        FITS,
        {**FITS, "blk.0.attn_norm.weight": zeros(8)},
        {f"{EMBEDDINGS}.lora_a": zeros(2, 20), f"{EMBEDDINGS}.lora_b": zeros(2, 8)},
        {f"{EXPERTS}.lora_a": zeros(8, 2, 4), f"{EXPERTS}.lora_b": zeros(2, 12, 4)},
        {"output.weight.lora_a": zeros(8, 2), "output.weight.lora_b": zeros(2, 20)},
    ],
    ids=["a matrix", "a norm beside it", "embeddings", "experts", "the output"],
)
def test_one_that_fits_passes(
    tensors: Mapping[str, Weights], engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    assert isinstance(engine, Adapts)
    engine.check_adapter(make_job(), Adapter("pirate", write(tmp_path / "a.gguf", LORA, tensors)))


KINDS: Mapping[str, tuple[Mapping[str, Value], list[str]]] = {
    "a model": ({**LORA, "general.type": "model"}, ["a model of its own", "adapter's own GGUF"]),
    "no type": ({"general.architecture": "llama"}, ["a model of its own"]),
    "a projector": ({**LORA, "general.type": "mmproj"}, ["'mmproj'"]),
    "no lora": ({**LORA, "adapter.type": "loha"}, ["'loha'", "merge it"]),
    "another architecture": (
        {**LORA, "general.architecture": "qwen3"},
        ["'qwen3'", "'llama'", "trained on this very model"],
    ),
    "alpha is a whole number": ({**LORA, "adapter.lora.alpha": 16}, ["alpha is 16", "a float"]),
    "activated": (
        {**LORA, "adapter.alora.invocation_tokens": [5, 6]},
        ["activated", "adapter.alora.invocation_tokens"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named(
    kind: str, engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    metadata, words = KINDS[kind]
    said = refusal(engine, make_job(), write(tmp_path / "a.gguf", metadata, FITS))
    assert [word for word in (*words, "'pirate'", "'base'") if word not in said] == []


MISFITS: Mapping[str, tuple[Mapping[str, Weights], list[str]]] = {
    "nothing": ({}, ["no LoRA tensors"]),
    "norms alone": ({"blk.0.attn_norm.weight": zeros(8)}, ["no LoRA tensors"]),
    "half a pair": ({f"{QUERY}.lora_a": zeros(8, 2)}, [f"lacks the tensor '{QUERY}.lora_b'"]),
    "the other half": ({f"{QUERY}.lora_b": zeros(2, 16)}, [f"lacks the tensor '{QUERY}.lora_a'"]),
    "a full weight": ({**FITS, QUERY: zeros(8, 16)}, [f"{QUERY!r} is half of no LoRA pair"]),
    "a missing layer": (
        {"blk.9.attn_q.weight.lora_a": zeros(8, 2), "blk.9.attn_q.weight.lora_b": zeros(2, 16)},
        ["'blk.9.attn_q.weight'", "the model has none"],
    ),
    "another input": (
        {f"{QUERY}.lora_a": zeros(10, 2), f"{QUERY}.lora_b": zeros(2, 16)},
        ["8 × 16 in the model", "10 × 16"],
    ),
    "another output": (
        {f"{QUERY}.lora_a": zeros(8, 2), f"{QUERY}.lora_b": zeros(2, 18)},
        ["8 × 16 in the model", "8 × 18"],
    ),
    "not transposed": (
        {f"{QUERY}.lora_a": zeros(8, 2), f"{QUERY}.lora_b": zeros(3, 16)},
        ["ranks 2 and 3", "not transposed"],
    ),
    "embeddings not flipped": (
        {f"{EMBEDDINGS}.lora_a": zeros(8, 2), f"{EMBEDDINGS}.lora_b": zeros(2, 20)},
        ["8 × 20 in the model", "20 × 2"],
    ),
    "embeddings of two ranks": (
        {f"{EMBEDDINGS}.lora_a": zeros(3, 20), f"{EMBEDDINGS}.lora_b": zeros(2, 8)},
        ["ranks 3 and 2"],
    ),
    "fewer experts": (
        {f"{EXPERTS}.lora_a": zeros(8, 2, 2), f"{EXPERTS}.lora_b": zeros(2, 12, 4)},
        ["4 experts in the model", "2 and 4"],
    ),
    "whole numbers": (
        {**FITS, f"{QUERY}.lora_a": Weights((8, 2), bytes(64), I32)},
        [f"'{QUERY}.lora_a'", "I32"],
    ),
    "a scaled weight": (
        {f"{UP}.lora_a": zeros(64, 2), f"{UP}.lora_b": zeros(2, 2)},
        [f"{UP!r}", "NVFP4", "another quantization"],
    ),
}


@pytest.mark.parametrize("kind", MISFITS)
def test_tensors_that_do_not_fit_are_named(
    kind: str, engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    tensors, words = MISFITS[kind]
    said = refusal(engine, make_job(), write(tmp_path / "a.gguf", LORA, tensors))
    assert [word for word in words if word not in said] == []


def test_embeddings_that_are_the_output_too_can_not_be_changed(
    engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    """llama.cpp would load it, and stop at an assertion when the first request comes."""
    tied = {name: weights for name, weights in WEIGHTS.items() if name != "output.weight"}
    tensors = {f"{EMBEDDINGS}.lora_a": zeros(2, 20), f"{EMBEDDINGS}.lora_b": zeros(2, 8)}
    said = refusal(engine, make_job(tensors=tied), write(tmp_path / "a.gguf", LORA, tensors))
    assert EMBEDDINGS in said
    assert "output too" in said


def test_a_cut_file_is_refused(engine: WheelEngine, make_job: Make, tmp_path: Path) -> None:
    files = write(tmp_path / "a.gguf", LORA, FITS)
    files.path.write_bytes(files.path.read_bytes()[:-1])
    said = refusal(engine, make_job(), files)
    assert "is cut" in said
    assert "fetch or copy it again" in said


def test_what_is_no_gguf_says_how_to_convert_it(
    engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    peft = tmp_path / "peft"
    peft.mkdir()
    assert "is a directory" in refusal(engine, make_job(), at(peft))
    (peft / "adapter_config.json").write_text("{}")
    weights = peft / "adapter_model.safetensors"
    weights.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert "PEFT directory" in refusal(engine, make_job(), at(peft))
    assert "safetensors file" in refusal(engine, make_job(), at(weights))
    pickled = tmp_path / "adapter_model.bin"
    pickled.write_bytes(b"PK\x03\x04")
    for path in (peft, weights, pickled):
        said = refusal(engine, make_job(), at(path))
        assert "convert_lora_to_gguf.py" in said
        assert str(path) in said


def test_a_file_that_is_gone_is_an_adapters_error(
    engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    said = refusal(engine, make_job(), at(tmp_path / "gone.gguf"))
    assert "gone.gguf" in said
    assert "No such file" in said


def test_a_file_that_was_replaced_is_read_again(
    engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    job = make_job()
    engine.check_adapter(job, Adapter("pirate", write(tmp_path / "a.gguf", LORA, FITS)))
    said = refusal(engine, job, write(tmp_path / "a.gguf", LORA, {**FITS, QUERY: zeros(8, 16)}))
    assert "half of no LoRA pair" in said


def test_options_that_would_make_answers_wrong_are_named(
    engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    files = write(tmp_path / "a.gguf", LORA, FITS)
    about = {**LORA, "adapter.alora.invocation_tokens": [5]}
    activated = write(tmp_path / "activated.gguf", about, FITS)
    for name, value in {
        "cache_ram": "64MiB",
        "mmproj": str(files.path),
        "lora": [str(files.path), str(activated.path)],
    }.items():
        said = refusal(engine, make_job(**{name: value}), files)
        assert f"the option {name!r}" in said


@pytest.mark.parametrize(
    "given",
    [
        {"cache_reuse": 64},
        {"context_shift": True},
        {"kv_unified": True},
        {"embedding": True},
        {"speculative": "ngram-mod"},
        {"lora": [__file__]},
    ],
    ids=str,
)
def test_options_that_do_no_harm_are_left_alone(
    given: dict[str, Any], engine: WheelEngine, make_job: Make, tmp_path: Path
) -> None:
    files = write(tmp_path / "a.gguf", LORA, FITS)
    if "lora" in given:
        given = {"lora": [str(files.path)]}
    engine.check_adapter(make_job(**given), Adapter("pirate", files))


@pytest.mark.parametrize(
    ("metadata", "options"),
    [
        ({**MODEL, "general.architecture": "bert", "bert.context_length": 512}, {}),
        ({**MODEL, "llama.pooling_type": 3}, {}),
    ],
    ids=["an encoder", "trained to embed"],
)
def test_a_model_that_generates_nothing_takes_none(
    metadata: Mapping[str, Value],
    options: dict[str, Any],
    engine: WheelEngine,
    make_job: Make,
    tmp_path: Path,
) -> None:
    job = make_job(metadata=metadata, **options)
    assert "generates no text" in refusal(engine, job, write(tmp_path / "a.gguf", LORA, FITS))
    assert not engine.capabilities(job.files, job.options).lora


@pytest.mark.parametrize("mark", [",", ":", '"'])
def test_llama_server_alone_minds_the_path(
    mark: str, engine: WheelEngine, machine: Machine, make_job: Make, tmp_path: Path
) -> None:
    job, files = make_job(), write(tmp_path / f"a{mark}b.gguf", LORA, FITS)
    engine.check_adapter(job, Adapter("pirate", files))
    said = refusal(ServerEngine(Path("/bin/true"), "1", machine, lambda: False), job, files)
    assert repr(str(files.path)) in said
    assert "prefer: wheel" in said

"""Predicted memory, by shape. Figures marked measured are llama.cpp's own report of its buffers."""

from __future__ import annotations

from typing import Any

import pytest

from pilotlight.core import Footprint
from pilotlight.engines.llamacpp.cache import layers
from pilotlight.engines.llamacpp.compute import compute_bytes
from pilotlight.engines.llamacpp.memory import Host, predict
from pilotlight.engines.llamacpp.options import complete
from pilotlight.engines.llamacpp.sizing import size
from pilotlight.engines.llamacpp.weights import repacked_types, tensor_bytes
from pilotlight.machine import Machine
from pilotlight.store.gguf import GgufHeader

from .headers import MIB, header, tensor


def llama(
    width: int, heads: int, kv_heads: int, feed_forward: int, blocks: int, **more: Any
) -> GgufHeader:
    given = {
        "embedding_length": width,
        "attention__head_count": heads,
        "attention__head_count_kv": kv_heads,
        "feed_forward_length": feed_forward,
        "block_count": blocks,
        "context_length": 32768,
    }
    return header(**{**given, **more})


SMOL = llama(576, 9, 3, 1536, 30, vocabulary=49152)
LARGE = llama(2048, 32, 8, 8192, 6, vocabulary=32000)
GEMMA = llama(
    1152, 4, 1, 6912, 12, architecture="gemma3", vocabulary=151936, attention__key_length=256,
    attention__value_length=256, attention__sliding_window=512,
)  # fmt: skip
MIXTURE = llama(
    1024, 16, 4, 3072, 6, architecture="qwen3moe", vocabulary=32000, expert_count=32,
    expert_used_count=8, expert_feed_forward_length=768, attention__key_length=64,
    attention__value_length=64,
)  # fmt: skip


EIGHT_BITS = {"cache_type_k": "q8_0", "cache_type_v": "q8_0"}


def kv_mib(model: GgufHeader, machine: Machine, **given: Any) -> float:
    options = complete({"context": 2048, "parallel": 4, **given}, machine)
    return sum(layer.bytes for layer in layers(model, options, size(options, model))) / MIB


@pytest.mark.parametrize(
    ("model", "given", "measured_mib"),
    [
        (SMOL, {}, 180.0),
        (SMOL, {"context": 8192, "parallel": 2}, 360.0),
        (SMOL, {"context": 4096, "parallel": 16, **EIGHT_BITS}, 765.0),
        (LARGE, {}, 96.0),
        (GEMMA, {}, 16.0 + 40.0),
        (GEMMA, {"swa_full": True}, 96.0),
        (MIXTURE, {"parallel": 2}, 24.0),
    ],
)  # fmt: skip
def test_the_cache_is_as_measured(
    model: GgufHeader, given: dict[str, Any], measured_mib: float, machine: Machine
) -> None:
    assert kv_mib(model, machine, **given) == pytest.approx(measured_mib)


@pytest.mark.parametrize(
    ("model", "given", "measured_mib"),
    [
        (SMOL, {}, 16.64),
        (SMOL, {"context": 8192, "parallel": 2}, 22.64),
        (SMOL, {"context": 8192, "parallel": 2, "kv_unified": True}, 30.64),
        (SMOL, {"flash_attention": "off"}, 47.51),
        (SMOL, {"context": 4096, "ubatch_size": 256, "flash_attention": "off"}, 43.76),
        (SMOL, {"context": 1024, "embedding": True}, 205.3),
        (LARGE, {}, 70.02),
        (LARGE, {"ubatch_size": 1024}, 140.04),
        (GEMMA, {}, 54.78),
    ],
)
def test_working_memory_is_as_measured(
    model: GgufHeader, given: dict[str, Any], measured_mib: float, machine: Machine
) -> None:
    options = complete({"context": 2048, "parallel": 4, **given}, machine)
    predicted = compute_bytes(model, options, size(options, model)) / MIB
    assert predicted == pytest.approx(measured_mib, rel=0.03)


def test_working_memory_of_a_mixture_errs_to_too_much(machine: Machine) -> None:
    options = complete({"context": 2048, "parallel": 2}, machine)
    predicted = compute_bytes(MIXTURE, options, size(options, MIXTURE)) / MIB
    assert 48.02 <= predicted <= 48.02 * 1.2


def test_latent_attention_caches_one_narrow_key(machine: Machine) -> None:
    mla = header(
        "deepseek2", block_count=27, embedding_length=2048, attention__head_count=16,
        attention__head_count_kv=1, attention__key_length=576, attention__value_length=512,
        attention__key_length_mla=192, attention__value_length_mla=128, context_length=32768,
    )  # fmt: skip
    assert kv_mib(mla, machine) == pytest.approx(27 * 8192 * 576 * 2 / MIB)


def test_a_state_space_model_grows_with_slots_not_context(machine: Machine) -> None:
    mamba = header(
        "mamba", block_count=24, embedding_length=768, ssm__conv_kernel=4, ssm__inner_size=1536,
        ssm__state_size=16, context_length=1_000_000,
    )  # fmt: skip
    expected = 4 * 24 * 4 * (3 * 1536 + 16 * 1536) / MIB
    assert kv_mib(mamba, machine) == pytest.approx(expected)
    assert kv_mib(mamba, machine, context=100_000) == pytest.approx(expected)
    assert kv_mib(mamba, machine, parallel=8) == pytest.approx(2 * expected)


def test_a_hybrid_has_both(machine: Machine) -> None:
    hybrid = header(
        "granitehybrid", block_count=4, embedding_length=1024, attention__head_count=16,
        attention__head_count_kv=(0, 0, 0, 4), ssm__conv_kernel=4, ssm__inner_size=2048,
        ssm__state_size=128, ssm__group_count=1, context_length=32768,
    )  # fmt: skip
    state = 4 * 4 * (3 * (2048 + 2 * 128) + 128 * 2048)
    attention = 8192 * 4 * (64 + 64) * 2
    assert kv_mib(hybrid, machine) == pytest.approx((3 * state + attention) / MIB)


def test_encoders_cache_nothing(machine: Machine) -> None:
    assert kv_mib(header("bert", block_count=12, embedding_length=384), machine) == 0


WEIGHTS = (
    tensor("token_embd.weight", (2048, 32000), "Q4_0", 40 * MIB),
    tensor("blk.0.attn_q.weight", (2048, 2048), "Q4_0", 100 * MIB),
    tensor("blk.0.attn_norm.weight", (2048,), "F32", 1 * MIB),
)
OUTPUT = tensor("output.weight", (2048, 32000), "Q6_K", 60 * MIB)


def host(machine: Machine) -> Host:
    return Host(35 * MIB, machine.instruction_sets, machine.gpus)


def weighted(*more: Any, **numbers: Any) -> GgufHeader:
    return llama(2048, 32, 8, 8192, 1, tensors=(*WEIGHTS, *more), **numbers)


@pytest.mark.parametrize(
    ("given", "untied", "weights_mib"),
    [
        ({}, False, 141 + 140),  # mapped, with copies of the layer and of the tied output
        ({}, True, 201 + 100),
        ({"mmap": "off"}, False, 40 + 140 + 1),
        ({"repack": "off"}, False, 141),
    ],
)
def test_copies_for_the_processor_are_counted(
    given: dict[str, Any], untied: bool, weights_mib: float, machine: Machine
) -> None:
    model = weighted(*([OUTPUT] if untied else []))
    footprint = predict(model, complete(given, machine), host(machine))
    assert footprint.parts["weights"] == weights_mib * MIB


def test_what_is_copied_depends_on_the_instruction_sets() -> None:
    assert "Q4_0" in repacked_types({"avx2"})
    assert "Q8_0" not in repacked_types({"avx2"})
    assert "Q8_0" in repacked_types({"asimddp"})
    assert repacked_types({"sse"}) == frozenset()
    odd = tensor("blk.0.attn_q.weight", (2048, 2047), "Q4_0", 8)
    assert tensor_bytes(odd, {"Q4_0"}, tied=False, mapped=True) == 8


def test_parts_add_up(machine: Machine) -> None:
    footprint = predict(weighted(), complete({"cache_ram": "64MiB"}, machine), host(machine))
    assert sum(footprint.parts.values()) == footprint.ram_bytes
    assert footprint.parts["prompt_cache"] == 64 * MIB
    assert footprint.source == "formula"


def on_gpus(machine: Machine, **given: Any) -> Footprint:
    return predict(weighted(OUTPUT), complete({"context": 2048, **given}, machine), host(machine))


def test_gpus_take_the_layers_and_their_cache(gpu_machine: Machine) -> None:
    none, both = on_gpus(gpu_machine, gpu_layers=0), on_gpus(gpu_machine)
    assert none.gpu_bytes == {}
    assert set(both.gpu_bytes) == {"CUDA0", "CUDA1"}
    cache = 16 * 2048 * 8 * (64 + 64) * 2
    moved = 161 * MIB + cache  # everything but the embeddings
    assert both.parts["offloaded"] == -moved
    assert sum(both.parts.values()) == both.ram_bytes


def test_gpu_shares_follow_the_options(gpu_machine: Machine) -> None:
    split = on_gpus(gpu_machine, tensor_split=[3, 1]).gpu_bytes
    equal = on_gpus(gpu_machine).gpu_bytes
    assert split["CUDA0"] > equal["CUDA0"] == equal["CUDA1"] > split["CUDA1"]
    assert set(on_gpus(gpu_machine, split_mode="none", main_gpu=1).gpu_bytes) == {"CUDA1"}
    one = on_gpus(gpu_machine, gpu_layers=1)
    assert one.parts["offloaded"] == -60 * MIB  # the output comes first

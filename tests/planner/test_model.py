"""Weights by shape and quantization, held against published files and a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.catalog import load
from pilotlight.catalog.architecture import Architecture, Experts
from pilotlight.catalog.parameters import count
from pilotlight.core import ModelFiles
from pilotlight.errors import PlanError
from pilotlight.planner import kv, thumb
from pilotlight.planner.headers import architecture_of, from_gguf
from pilotlight.planner.model import PlannedModel, from_architecture
from pilotlight.planner.synthetic import header_of
from pilotlight.store.gguf import read_header

CATALOG = load()
PUBLISHED = Path(__file__).parent / "published"


def published(name: str) -> Any:
    return yaml.safe_load((PUBLISHED / f"{name}.yaml").read_text())


BITS = published("gguf_bits")
LLAMA = CATALOG.models["llama-3.1-8b"].architecture


def planned(name: str, quantization: str, **more: Any) -> PlannedModel:
    return from_architecture(name, CATALOG.models[name].architecture, quantization, **more)


@pytest.mark.parametrize(("mix", "bits"), BITS["llama-3.1-8b"]["bits_per_weight"].items())
def test_every_mix_has_the_published_bits(mix: str, bits: float) -> None:
    model = planned("llama-3.1-8b", mix, format="gguf")
    assert model.weights.bits_per_weight == pytest.approx(bits, rel=1e-4)


@pytest.mark.parametrize(("mix", "gigabytes"), BITS["mixtral-8x22b"]["gigabytes"].items())
def test_a_mixture_has_rules_of_its_own(mix: str, gigabytes: float) -> None:
    model = planned("mixtral-8x22b", mix)
    assert model.weights.total_bytes / 1e9 == pytest.approx(gigabytes, rel=1e-3)


@pytest.mark.parametrize("name", CATALOG.models)
def test_the_tensors_of_every_catalog_model_add_up(name: str) -> None:
    model = planned(name, "BF16")
    assert model.parameters == pytest.approx(CATALOG.models[name].parameters, rel=0.005)
    assert model.parameters == pytest.approx(count(model.architecture).total, rel=1e-4)
    assert model.weights.total_bytes == 2 * model.parameters


@pytest.mark.parametrize("name", CATALOG.models)
def test_a_header_of_its_making_says_the_shape_it_was_made_of(name: str) -> None:
    shape = CATALOG.models[name].architecture
    again = architecture_of(header_of(planned(name, "Q8_0")))
    # A file keeps recurrent layers and gates as plain matrices, which tell no more than a sum.
    gated = again.gated if shape.recurrent else shape.gated
    plain = replace(shape, recurrent=None, attention_gate=False, gated=gated)
    assert replace(again, recurrent=None) == plain
    assert again.attention_layers == shape.attention_layers
    assert kv.state_bytes(again) == kv.state_bytes(shape)


def test_rows_that_are_no_whole_blocks_take_smaller_ones() -> None:
    """576 isn't divisible by 256: llama-quantize says so, and falls back."""
    types = planned("smollm2-135m", "Q4_K_M").weights.bytes_by_type()
    assert set(types) == {"F32", "Q5_0", "Q8_0", "Q6_K", "Q4_K"}


def test_gpt_oss_keeps_its_experts_in_their_own_type() -> None:
    """The file that ggml-org publishes has 12.1 GB."""
    model = planned("gpt-oss-20b", "MXFP4_MOE")
    assert model.weights.total_bytes / 1e9 == pytest.approx(12.1, rel=0.01)
    assert set(model.weights.bytes_by_type("expert")) == {"MXFP4"}


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [("FP8", 8), ("INT8", 8), ("AWQ", 4.156), ("GPTQ", 4.156), ("NVFP4", 4.5), ("NF4", 4.5)],
)
def test_a_checkpoint_packs_its_linear_layers_alone(quantization: str, bits: float) -> None:
    weights = planned("llama-3.1-8b", quantization).weights
    packed = [group for group in weights.groups if group.type not in ("BF16", "F32")]
    assert {group.role for group in packed} == {"dense"}
    (group,) = packed
    assert 8 * group.bytes / group.parameters == pytest.approx(bits, rel=0.005)
    assert weights.bytes_by_type("head", "lookup") == {"BF16": 2 * 2 * 128256 * 4096}


def test_kimis_own_files_have_the_published_size() -> None:
    """594 GB on the hub: experts in 4 bits with a scale for 32, all else in BF16."""
    weights = planned("kimi-k2.5", "INT4").weights
    assert weights.total_bytes / 1e9 == pytest.approx(594, rel=0.001)


def test_mxfp4_packs_experts_alone() -> None:
    types = planned("gpt-oss-20b", "mxfp4").weights.bytes_by_type
    assert set(types("expert")) == {"MXFP4"}
    assert set(types("dense", "head", "lookup")) == {"BF16"}


def test_a_tied_embedding_is_read_as_the_output() -> None:
    tied, own = planned("llama-3.2-1b", "Q8_0").weights, planned("llama-3.1-8b", "Q8_0").weights
    assert tied.bytes_of("lookup") == 0
    assert own.bytes_of("lookup") == own.bytes_of("head") > 0


def test_a_mixture_passes_a_token_through_few_experts() -> None:
    model = planned("mixtral-8x7b", "Q4_K_M")
    assert model.parameters / 1e9 == pytest.approx(46.7, rel=0.001)
    assert model.active_parameters / 1e9 == pytest.approx(12.9, rel=0.005)


def test_a_catalogs_bits_go_before_the_rules() -> None:
    """So that a row of the user's own counts; embeddings, output and norms stay 16 bits wide."""
    usual, wider = (
        planned("llama-3.1-8b", "AWQ", bits_per_weight=bits).weights for bits in (None, 5.0)
    )
    (own,) = (group for group in wider.groups if group.type == "INT4")
    assert 8 * own.bytes / own.parameters == pytest.approx(5.0)
    assert wider.parameters_by_type() == usual.parameters_by_type()


def test_a_quantization_of_ones_own_needs_its_bits() -> None:
    own = from_architecture("own", LLAMA, "homemade", bits_per_weight=3)
    assert own.format == "safetensors"
    assert own.weights.bytes_of("dense") == pytest.approx(LLAMA_DENSE * 3 / 8, rel=0.001)
    with pytest.raises(PlanError, match="nobody knows how the quantization 'HOMEMADE'"):
        from_architecture("own", LLAMA, "homemade")


LLAMA_DENSE = planned("llama-3.1-8b", "BF16").weights.parameters_of("dense")


@pytest.mark.parametrize("name", CATALOG.quantizations)
def test_every_quantization_of_the_catalog_is_known(name: str) -> None:
    row = CATALOG.quantizations[name]
    model = planned("llama-3.1-8b", name, format=row.format)
    assert model.format == row.format
    if row.format == "gguf" and name != "mxfp4_moe":  # whose figure is a mixture's
        assert model.weights.bits_per_weight == pytest.approx(row.bits_per_weight, rel=0.001)


@pytest.mark.parametrize("given", ["q4_k_m", "Q4_K", "Q4_K_M"])
def test_names_are_read_as_people_write_them(given: str) -> None:
    assert planned("llama-3.1-8b", given).quantization == "Q4_K_M"


def test_latent_attention_of_old_files_is_none() -> None:
    """Made before llama.cpp cached latents, they don't state the lengths of whole keys."""
    header = header_of(planned("deepseek-v2-lite", "Q4_K_M"))
    old = {key: value for key, value in header.metadata.items() if not key.endswith("_mla")}
    assert architecture_of(header).latent is not None
    assert architecture_of(replace(header, metadata=old)).latent is None


@pytest.mark.real
def test_a_real_file_adds_up_to_its_last_byte(smollm: ModelFiles) -> None:
    header = read_header(smollm.path)
    model = from_gguf("smollm2", header)
    assert model.weights.file_bytes == smollm.path.stat().st_size
    assert model.quantization == "Q4_1"
    assert model.source == "header"
    assert model.architecture == CATALOG.models["smollm2-135m"].architecture


@pytest.mark.real
def test_the_shape_predicts_the_real_files_tensors_exactly(smollm: ModelFiles) -> None:
    real = from_gguf("smollm2", read_header(smollm.path))
    made = planned("smollm2-135m", "Q4_1")
    assert set(made.weights.groups) == set(real.weights.groups)


def table() -> Mapping[str, tuple[float, Mapping[int, float]]]:
    rows = published("weight_table")["rows"]
    return {name: (row["parameters_b"], row["gb"]) for name, row in rows.items()}


def test_the_published_table_of_weights_has_one_misprint() -> None:
    assert thumb.misprints(table()) == (thumb.Misprint("falcon 7b", 8, 14, 7.0),)


def test_a_corrected_table_has_none() -> None:
    corrected = {**table(), "falcon 7b": (7, {16: 14, 8: 7, 4: 3.5})}
    assert thumb.misprints(corrected) == ()


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(sorted(CATALOG.models)),
    st.sampled_from(["Q2_K", "Q3_K_L", "Q4_0", "Q4_K_M", "IQ2_M", "Q6_K", "Q8_0", "F16"]),
)
def test_bytes_add_up_to_the_file(name: str, mix: str) -> None:
    """Of every shape and mix: tensors, header and padding are the file, however it is read."""
    made = planned(name, mix, format="gguf")
    header = header_of(made)
    read = from_gguf(name, header)
    assert set(read.weights.groups) == set(made.weights.groups)
    assert read.weights.file_bytes == made.weights.file_bytes == header.file_bytes
    assert read.weights.total_bytes == header.weights_bytes
    assert read.parameters == header.parameter_count


def test_experts_that_are_dense_at_first_are_counted_so() -> None:
    shape = Architecture(
        layers=4, hidden=256, heads=4, kv_heads=2, head_dim=64, feed_forward=512, vocabulary=1000,
        context=4096, tied=False, experts=Experts(count=8, used=2, width=128, dense_layers=1),
    )  # fmt: skip
    weights = from_architecture("small", shape, "BF16").weights
    assert weights.parameters_of("expert") == 3 * 8 * 3 * 256 * 128

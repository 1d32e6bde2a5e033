"""Bits, losses and reading speed of quantizations."""

from __future__ import annotations

import pytest

from pilotlight.catalog import Catalog, load
from pilotlight.catalog.quantization import Quantization
from pilotlight.planner import mixes

BLOCKS = {  # bits per weight, from the size of a block and the weights in it
    "Q2_K": 2.625, "Q3_K": 3.4375, "Q4_0": 4.5, "Q4_K": 4.5, "IQ4_NL": 4.5, "Q4_1": 5.0,
    "Q5_0": 5.5, "Q5_K": 5.5, "Q5_1": 6.0, "Q6_K": 6.5625, "Q8_0": 8.5, "IQ1_S": 1.5625,
    "IQ1_M": 1.75, "IQ2_XXS": 2.0625, "IQ2_XS": 2.3125, "IQ2_S": 2.5625, "IQ3_XXS": 3.0625,
    "IQ3_S": 3.4375, "IQ4_XS": 4.25, "MXFP4": 4.25, "F16": 16.0,
}  # fmt: skip
GGUF = [q for q in load().quantizations.values() if q.format == "gguf"]


@pytest.mark.parametrize("row", GGUF, ids=lambda row: row.name)
def test_a_mix_is_its_bulk_and_some_better_tensors(row: Quantization) -> None:
    assert row.block_type
    assert row.bulk_bits == BLOCKS[row.block_type]
    assert row.bulk_bits <= row.bits_per_weight < row.bulk_bits * 1.3


def test_every_mix_is_one_that_files_can_be_laid_out_in() -> None:
    for row in GGUF:
        assert mixes.BASE[row.name.upper()] == row.block_type


@pytest.mark.parametrize(
    ("name", "bits", "kld", "perplexity", "share"),
    [
        ("q2_k", 3.16, 0.445, 3.52, 0.54),
        ("q3_k_m", 4.00, 0.102, 0.657, 0.61),
        ("q4_k_m", 4.89, 0.0313, 0.175, 0.75),
        ("q5_k_m", 5.70, 0.0108, 0.057, 0.82),
        ("q6_k", 6.56, 0.0055, 0.022, 0.83),
        ("q8_0", 8.50, 0.0014, 0.003, 0.93),
        ("f16", 16.0, 0, 0, 1),
    ],
)
def test_the_reference_table(
    name: str, bits: float, kld: float, perplexity: float, share: float, shipped: Catalog
) -> None:
    row = shipped.quantizations[name]
    assert row.bits_per_weight == pytest.approx(bits, abs=0.005)
    assert row.kl_divergence == pytest.approx(kld, abs=0.0005)
    assert row.perplexity_increase == pytest.approx(perplexity, abs=0.001)
    assert row.bandwidth_share == pytest.approx(share, abs=0.006)


def test_fewer_bits_of_one_family_lose_more(shipped: Catalog) -> None:
    rows = [
        shipped.quantizations[n] for n in ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
    ]
    losses = [row.kl_divergence or 0 for row in rows]
    assert losses == sorted(losses)
    assert [r.bits_per_weight for r in rows] == sorted(
        (r.bits_per_weight for r in rows), reverse=True
    )


def test_widths_that_a_gpu_multiplies_in_need_its_units(shipped: Catalog) -> None:
    need = {q.name: (q.compute, q.minimum_capability) for q in shipped.quantizations.values()}
    assert need["fp8"] == ("fp8", 8.9)
    assert need["nvfp4"] == ("fp4", 10.0)
    assert need["awq"][0] == "fp16", "4-bit weights are widened before they are multiplied"
    assert need["bf16"] == ("fp16", None)

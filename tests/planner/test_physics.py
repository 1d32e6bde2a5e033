"""The physics gate: what can't be is flagged, with the arithmetic; what was measured passes."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotlight.metrics import Metrics, Spread
from pilotlight.planner.physics import Flag, Run, check
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.speed import at_concurrency
from pilotlight.planner.work import work_of

from .published_rows import rows
from .speed_setups import device, model, on_gpu

CHAT = Lengths(input_tokens=1024, output_tokens=1024)


def exactly(value: float) -> Spread:
    return Spread(value, value, value)


def run_of(name: str = "llama-3.1-8b", gpu: str = "h100-sxm", quantization: str = "BF16") -> Run:
    return Run(work=work_of(model(name, quantization)), device=device(gpu))


def only(flags: tuple[Flag, ...]) -> Flag:
    assert len(flags) == 1, [flag.text for flag in flags]
    return flags[0]


def test_the_public_demo_is_caught() -> None:
    """3.47 ms a token of an 8B in BF16 on one H100, where reading alone takes about 4.5 ms."""
    flag = only(check(Metrics(tpot_ms=exactly(3.47)), run_of()))
    assert flag.metric == "tpot_ms"
    assert flag.bound == pytest.approx(4.5, abs=0.05)
    assert "15 GB of weights" in flag.arithmetic
    assert "1 x h100-sxm at 3,350 GB/s" in flag.arithmetic
    assert "4.48 ms" in flag.arithmetic


def test_its_own_requests_contradict_it() -> None:
    """Its whole requests give 7.06 ms a token."""
    run = replace(run_of("llama-3.2-1b"), lengths=CHAT, request_ms=20 + 1023 * 7.06)
    flag = only(check(Metrics(tpot_ms=exactly(3.47), ttft_ms=exactly(20)), run))
    assert "7.06 ms for each of 1023 later tokens" in flag.arithmetic


def test_a_measurement_that_can_be_passes() -> None:
    """The same model and GPU in a table of others: 7.74 ms, 20 ms to the first token."""
    run = replace(run_of(), lengths=Lengths(input_tokens=256, output_tokens=344), concurrency=1)
    metrics = Metrics(
        tpot_ms=exactly(7.74), ttft_ms=exactly(20.1), output_tokens_per_s=exactly(128)
    )
    assert check(metrics, run) == ()


def test_speculation_excuses_what_it_explains() -> None:
    run = run_of()
    fast = Metrics(tpot_ms=exactly(2.5))
    assert check(fast, run)
    assert not check(fast, replace(run, tokens_per_step=2.5))
    still = only(check(Metrics(tpot_ms=exactly(1.0)), replace(run, tokens_per_step=2.5)))
    assert "for 2.5 tokens of each sequence" in still.arithmetic


def test_a_prompt_is_not_read_faster_than_it_is_multiplied() -> None:
    run = replace(run_of(), lengths=Lengths(input_tokens=8192, output_tokens=128))
    flag = only(check(Metrics(ttft_ms=exactly(40)), run))
    assert "8192 tokens take" in flag.arithmetic
    assert "989 TFLOP/s" in flag.arithmetic
    cached = replace(run, cached_prompt_tokens=8000)
    assert not check(Metrics(ttft_ms=exactly(40)), cached)


def test_short_prompts_still_read_the_weights() -> None:
    run = replace(run_of(), lengths=Lengths(input_tokens=4, output_tokens=128))
    flag = only(check(Metrics(ttft_ms=exactly(2)), run))
    assert "reads that in 4.48 ms" in flag.arithmetic


def test_throughput_is_bounded_by_products_and_by_the_batch() -> None:
    run = run_of()
    assert "GFLOP" in only(check(Metrics(output_tokens_per_s=exactly(80_000)), run)).arithmetic
    few = replace(run, concurrency=8)
    flag = only(check(Metrics(output_tokens_per_s=exactly(2500)), few))
    assert "for 8 sequences" in flag.arithmetic
    assert flag.bound == pytest.approx(8 / 4.48e-3, rel=0.01)


def test_total_tokens_are_bounded_unless_prompts_were_reused() -> None:
    metrics = Metrics(total_tokens_per_s=exactly(100_000))
    assert check(metrics, run_of())
    assert not check(metrics, replace(run_of(), cached_prompt_tokens=1000))


def test_rate_times_time_is_the_crowd() -> None:
    metrics = Metrics(output_tokens_per_s=exactly(1000), tpot_ms=exactly(20))
    flag = only(check(metrics, replace(run_of(), concurrency=8)))
    assert "at most 427 tokens/s" in flag.arithmetic
    told = replace(run_of(), concurrency=8, lengths=CHAT)
    assert "at most 400 tokens/s" in only(check(metrics, told)).arithmetic


def test_joules_times_rate_is_power() -> None:
    """One published sweep has 7.24 J a token at 122 tokens/s on a GPU of 700 W: 884 W."""
    metrics = Metrics(
        joules_per_output_token=exactly(7.239),
        output_tokens_per_s=exactly(122.2),
        energy_source="measured-nvml",
    )
    flag = only(check(metrics, run_of()))
    assert "885 W" in flag.arithmetic
    assert "700 W" in flag.arithmetic


def test_more_gpus_move_the_bound() -> None:
    metrics = Metrics(tpot_ms=exactly(3.47))
    assert check(metrics, run_of())
    assert not check(metrics, replace(run_of(), devices=2))


def test_a_mixture_reads_only_the_experts_that_one_token_needs() -> None:
    run = run_of("mixtral-8x7b")
    flag = only(check(Metrics(tpot_ms=exactly(5)), run))
    assert 7 < flag.bound < 8.5


@pytest.mark.parametrize("name", sorted({row.file for row in rows()}))
def test_no_published_row_of_ours_is_flagged(name: str) -> None:
    """Whatever other people measured is below the bounds, or the bounds are wrong."""
    for row in rows(name):
        if "output" not in row.fields or row.fields["what"].startswith("ttft_tail"):
            continue
        fields = row.fields
        found = {"median": row.value, "low": row.value, "high": row.value}
        run = Run(
            work=work_of(model(fields["model"], fields["quantization"], "safetensors")),
            device=row.device,
            devices=fields["gpus"],
            lengths=Lengths(input_tokens=fields["input"], output_tokens=fields["output"]),
            concurrency=fields.get("concurrency"),
        )
        what = fields["what"].replace("_tail", "")
        flags = check(msgspec.convert({what: found}, Metrics), run)
        assert not flags, (fields, [flag.text for flag in flags])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["llama-3.2-1b", "llama-3.1-8b", "mixtral-8x7b", "gemma-3-27b", "deepseek-v3"]),
    st.sampled_from(["t4", "l4", "a100-80gb", "h100-sxm", "b200", "rtx-5090"]),
    st.sampled_from(["BF16", "FP8", "AWQ"]),
    st.integers(1, 8000),
    st.integers(2, 4000),
    st.integers(1, 256),
)
def test_our_own_predictions_pass(
    name: str, gpu: str, quantization: str, given_tokens: int, answered: int, concurrency: int
) -> None:
    setup = on_gpu(name, gpu, quantization=quantization)
    lengths = Lengths(input_tokens=given_tokens, output_tokens=answered)
    metrics = at_concurrency(setup, lengths, concurrency).metrics
    run = Run(work=setup.work, device=device(gpu), lengths=lengths, concurrency=float(concurrency))
    assert check(metrics, run) == ()

"""The time model: what each term is, and what can't happen whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotlight.errors import PlanError
from pilotlight.planner.batching import service
from pilotlight.planner.constants import constants
from pilotlight.planner.device import Device
from pilotlight.planner.rates import Rate, Rates, from_json
from pilotlight.planner.requirements import Lengths
from pilotlight.planner.roofline import Batch, Setup, Stage
from pilotlight.planner.speed import (
    Overload,
    Speed,
    at_concurrency,
    at_load,
    capacity,
    place,
    unloaded,
)
from pilotlight.planner.work import work_of

from .speed_setups import device, model, on_gpu

CHAT = Lengths(input_tokens=512, output_tokens=128)
PLAIN = Rates(
    device="made up",
    engine="made up",
    types={"BF16": Rate(1e12, ((1, 100e12),))},
    attention=Rate(1e12, ((1, 100e12),)),
    chunk_tokens=1 << 20,
    error=0.0,
    source="made up",
)
MADE_UP = Device(name="made up", kind="gpu", bandwidth_bytes_s=1e12, flop_s={"fp16": 100e12})


def plain(name: str, rates: Rates = PLAIN, ranks: int = 1) -> Setup:
    work = work_of(model(name))
    return Setup(work, (Stage(MADE_UP, rates, ranks=ranks),))


def test_a_step_reads_all_weights_but_the_embedding_and_each_cache() -> None:
    """Llama-3.1-8B: 8.03 billion parameters, of which 0.525 are looked up; 131,072 B a token."""
    step = plain("llama-3.1-8b").decode(1, 1000)
    read_bytes = 2 * (8_030_261_248 - 128_256 * 4096)
    assert step.bandwidth == pytest.approx(read_bytes / 1e12, rel=1e-3)
    assert step.cache == pytest.approx(1000 * 131_072 / 1e12)
    assert step.compute == step.network == step.overhead == 0


def test_a_prompt_takes_two_operations_a_weight_and_token_and_attention() -> None:
    setup, tokens = plain("llama-3.1-8b"), 4096
    head = 128_256 * 4096
    linear = 8_030_261_248 - 2 * head
    flop = 2 * tokens * linear + 2 * tokens**2 * 32 * 32 * 128
    found = setup.prefill(tokens)
    assert found.compute == pytest.approx(flop / 100e12, rel=1e-3)
    assert found.bandwidth == pytest.approx(2 * head / 1e12)


def test_the_knee_is_where_reading_and_multiplying_take_as_long() -> None:
    """b* = F·bytes_w / (2·BW): with these rates 100e12·2 / 2e12 = 100."""
    setup = plain("llama-3.1-8b")
    assert setup.decode(99, 0).compute == 0
    assert setup.decode(101, 0).bandwidth == 0


def test_tpot_holds_the_prompts_of_the_others() -> None:
    setup, others = plain("llama-3.1-8b", replace(PLAIN, mixed=False)), 15
    found = service(setup, CHAT, 16)
    step_s = setup.decode(16, 512 + 64).seconds
    prompt_s = setup.prefill(512).seconds
    assert found.tpot_s == pytest.approx(step_s + others / 127 * prompt_s)


def test_prompts_that_share_steps_cost_less_than_steps_of_their_own() -> None:
    apart = service(plain("llama-3.1-8b", replace(PLAIN, mixed=False)), CHAT, 16)
    shared = service(plain("llama-3.1-8b"), CHAT, 16)
    assert shared.tpot_s < apart.tpot_s


def test_a_prompt_is_cut_into_chunks_that_read_the_weights_again() -> None:
    rates = replace(PLAIN, chunk_tokens=64, step_s=1e-3)
    cut = plain("llama-3.1-8b", rates).prefill(640)
    assert cut.overhead == pytest.approx(10e-3)
    assert cut.bandwidth > 9 * plain("llama-3.1-8b").decode(1, 0).bandwidth * 0.9


def test_experts_that_are_read_follow_how_many_tokens_choose() -> None:
    """E·(1 - (1 - k/E)^n): Mixtral's 2 of 8 are 2 for one token, nearly all for 16."""
    work = work_of(model("mixtral-8x7b"))
    experts = sum(part.bytes for part in work.experts)
    fixed = work.read_bytes(1) - experts * 2 / 8
    assert work.read_bytes(16) == pytest.approx(fixed + experts * (1 - (6 / 8) ** 16))
    assert work.token_parameters < 0.3 * model("mixtral-8x7b").parameters


def test_ranks_share_the_work_and_pay_for_talking() -> None:
    rates = replace(PLAIN, allreduce_s=20e-6, link_bytes_s=100e9)
    one, four = plain("llama-3.1-8b", rates), plain("llama-3.1-8b", rates, ranks=4)
    alone, shared = one.decode(8, 1000), four.decode(8, 1000)
    assert shared.bandwidth == pytest.approx(alone.bandwidth / 4)
    assert shared.cache == pytest.approx(alone.cache / 4)
    moved = 8 * 4096 * 2 * 2 * 3 / 4 / 100e9
    assert shared.network == pytest.approx(2 * 32 * (20e-6 + moved))


def test_a_latent_cache_is_read_whole_by_every_rank() -> None:
    rates = replace(PLAIN, attention=Rate(1e12, ((1, 1e18),)))
    one, eight = plain("deepseek-v3", rates), plain("deepseek-v3", rates, ranks=8)
    assert eight.decode(8, 4000).cache == pytest.approx(one.decode(8, 4000).cache)


def test_a_window_bounds_what_a_token_looks_at() -> None:
    work = work_of(model("gemma-3-27b"))
    windowed = sum(reach.layers for reach in work.reaches if reach.window)
    full = sum(reach.layers for reach in work.reaches if not reach.window)
    assert windowed
    more = work.visible(100_000) - work.visible(50_000)
    assert more == pytest.approx(full * 50_000)


def test_a_recurrent_state_does_not_grow() -> None:
    work = work_of(model("falcon-mamba-7b"))
    assert work.sequence_bytes(10) == work.sequence_bytes(100_000) > 0


def test_layers_on_the_processor_slow_every_step() -> None:
    slow = replace(PLAIN, types={"BF16": Rate(50e9, ((1, 1e12),))}, device="cpu")
    work = work_of(model("llama-3.1-8b"))
    cpu = Device(name="cpu", kind="cpu", bandwidth_bytes_s=50e9)
    times = []
    for share in (0.0, 0.25, 0.5):
        stages = (Stage(cpu, slow, share, head=False), Stage(MADE_UP, PLAIN, 1 - share))
        setup = Setup(work, stages if share else stages[1:])
        times.append(setup.decode(1, 100).seconds)
    assert times == sorted(times)
    assert times[1] > 3 * times[0]


def test_small_batches_of_llamacpp_gain_less_than_vllms() -> None:
    """Its kernels for up to 8 tokens read like vector products."""
    gguf = on_gpu("llama-3-8b", "rtx-3090", quantization="Q4_0", engine="llamacpp")
    eight, one = gguf.decode(8, 256).seconds, gguf.decode(1, 256).seconds
    assert 1.8 < eight / one < 3


def test_fp8_runs_where_the_gpu_has_it_and_is_unpacked_elsewhere() -> None:
    hopper = [on_gpu("llama-3-8b", "h100-sxm", quantization=name) for name in ("BF16", "FP8")]
    ampere = [on_gpu("llama-3-8b", "a100-80gb", quantization=name) for name in ("BF16", "FP8")]
    assert hopper[1].prefill(2048).seconds < 0.8 * hopper[0].prefill(2048).seconds
    assert ampere[1].prefill(2048).seconds == pytest.approx(
        ampere[0].prefill(2048).seconds, rel=0.05
    )


@pytest.mark.parametrize("engine", ["vllm", "transformers", "llamacpp"])
def test_answers_of_one_token_cannot_outrun_their_prompts(engine: str) -> None:
    """Classification: nothing is decoded, and all prompts are multiplied one after the other."""
    quantization = "F16" if engine == "llamacpp" else "BF16"
    setup = on_gpu("llama-3.1-8b", "l4", quantization=quantization, engine=engine)
    lengths = Lengths(input_tokens=512, output_tokens=1)
    bound = 121e12 / (2 * 512 * setup.work.token_parameters)
    assert 0.3 * bound < capacity(setup, lengths, 64) < bound


def test_use_is_counted_against_the_peak_of_what_is_multiplied_in() -> None:
    """FP8's is twice BF16's on an H100: each request takes half as much of it."""
    each = []
    for quantization in ("BF16", "FP8"):
        setup = on_gpu("llama-3.1-8b", "h100-sxm", quantization=quantization)
        speed = at_concurrency(setup, CHAT, 8)
        each.append(speed.use.compute / speed.capacity_per_s)
    assert each[1] == pytest.approx(each[0] / 2, rel=0.01)


def test_a_load_past_the_capacity_is_refused_with_both_numbers() -> None:
    setup = on_gpu("llama-3.1-8b", "l4")
    most = capacity(setup, CHAT, 8)
    found = at_load(setup, CHAT, most * 2, 8)
    assert isinstance(found, Overload)
    assert f"{most:.3g} requests/s with 8 at once" in found.reason


def test_an_unknown_engine_says_which_there_are() -> None:
    with pytest.raises(PlanError, match="'ollama'") as caught:
        place(model("llama-3.1-8b"), "ollama", [(device("l4"), 1.0)])
    assert "vllm" in (caught.value.hint or "")


def test_the_constants_used_name_their_source() -> None:
    shown = constants(on_gpu("mixtral-8x7b", "h100-sxm", ranks=2))
    assert {constant.name.split(": ")[1] for constant in shown} >= {
        "BF16 weights", "attention", "each step", "each layer with experts",
        "each exchange between devices", "interval",
    }  # fmt: skip
    assert all(constant.source for constant in shown)


def test_rates_survive_a_file() -> None:
    rates = on_gpu("llama-3-8b", "rtx-3090", quantization="Q4_0", engine="llamacpp").stages[0].rates
    again = from_json(rates.to_json())
    assert again.to_json() == rates.to_json()
    assert again.of("Q4_0") == rates.of("Q4_0")


def test_a_type_nobody_measured_runs_like_the_nearest_in_width() -> None:
    rates = replace(PLAIN, types={"Q4_K": Rate(1.0, ((1, 1.0),)), "F16": Rate(2.0, ((1, 2.0),))})
    assert rates.of("IQ4_XS").read_bytes_s == 1.0
    assert rates.of("Q2_X", bits=2.6).read_bytes_s == 1.0
    assert rates.of("BF16").read_bytes_s == 2.0


def test_rates_between_points_follow_a_power_law() -> None:
    rate = Rate(1.0, ((1, 1.0), (4, 4.0), (16, 8.0)))
    assert rate.flop_s(2) == pytest.approx(2.0)
    assert rate.flop_s(8) == pytest.approx(4 * 2**0.5)
    assert rate.flop_s(0.5) == 1.0
    assert rate.flop_s(1000) == 8.0


ANY = settings(deadline=None, max_examples=60)
AT_THE_KNEE = 0.97
"""Of the throughput: prompts ride along for nothing until products are what takes the time."""

models = st.sampled_from(
    [
        "llama-3.2-1b",
        "llama-3.1-8b",
        "mixtral-8x7b",
        "gemma-3-27b",
        "deepseek-v2-lite",
        "jamba-1.5-mini",
    ]
)
gpus = st.sampled_from(["t4", "l4", "a10g", "a100-80gb", "h100-sxm", "h200", "rtx-4090", "mi300x"])
engines = st.sampled_from(["vllm", "llamacpp", "transformers"])
tokens = st.integers(min_value=1, max_value=20_000)
places = st.integers(min_value=1, max_value=512)


@ANY
@given(models, gpus, engines, tokens, tokens, places, st.floats(1.0, 4.0), st.floats(1.0, 4.0))
def test_a_faster_gpu_never_takes_longer(
    name: str, gpu: str, engine: str, given_tokens: int, answered: int, batch: int,
    wider: float, quicker: float,
) -> None:  # fmt: skip
    slow = device(gpu)
    fast = replace(
        slow,
        bandwidth_bytes_s=slow.bandwidth_bytes_s * wider,
        flop_s={kind: rate * quicker for kind, rate in slow.flop_s.items()},
    )
    lengths = Lengths(input_tokens=given_tokens, output_tokens=answered)
    planned = model(name, "Q4_K_M" if engine == "llamacpp" else "BF16")
    before, after = (
        service(place(planned, engine, [(each, 1.0)]), lengths, batch) for each in (slow, fast)
    )
    assert after.tpot_s <= before.tpot_s * (1 + 1e-9)
    assert after.request_s <= before.request_s * (1 + 1e-9)


@ANY
@given(models, gpus, tokens, st.integers(16, 20_000), st.lists(places, min_size=2, max_size=2))
def test_more_at_once_is_slower_for_each_and_faster_for_all(
    name: str, gpu: str, given_tokens: int, answered: int, batches: list[int]
) -> None:
    small, large = sorted(batches)
    lengths = Lengths(input_tokens=given_tokens, output_tokens=answered)
    setup = on_gpu(name, gpu)
    few, many = service(setup, lengths, small), service(setup, lengths, large)
    assert many.tpot_s >= few.tpot_s * (1 - 1e-9)
    assert many.requests_per_s >= few.requests_per_s * AT_THE_KNEE


@ANY
@example("mixtral-8x7b", "t4", 3, 2, 15, [0.5, 0.75])
@given(
    models,
    gpus,
    tokens,
    st.integers(2, 2000),
    places,
    st.lists(st.floats(0.01, 0.97), min_size=2, max_size=2),
)
def test_more_load_never_makes_anything_faster(
    name: str, gpu: str, given_tokens: int, answered: int, most: int, loads: list[float]
) -> None:
    lengths = Lengths(input_tokens=given_tokens, output_tokens=answered)
    setup = on_gpu(name, gpu)
    full = capacity(setup, lengths, most)
    light, heavy = (at_load(setup, lengths, load * full, most) for load in sorted(loads))
    assert isinstance(light, Speed)
    assert isinstance(heavy, Speed)
    # Between whole batches of experts it is interpolated: half a per cent for 2-token answers.
    slack = 1e-2 if answered <= 8 else 2e-3
    for figure in ("ttft_ms", "ttft_tail_ms", "tpot_ms", "tpot_tail_ms"):
        before, after = (getattr(speed.metrics, figure).median for speed in (light, heavy))
        assert after >= before * (1 - slack), figure
    assert heavy.utilization >= light.utilization


@ANY
@given(models, gpus, tokens, st.integers(2, 2000), places, st.floats(0.01, 0.97))
def test_tails_are_no_shorter_than_medians_and_shares_are_shares(
    name: str, gpu: str, given_tokens: int, answered: int, most: int, load: float
) -> None:
    lengths = Lengths(input_tokens=given_tokens, output_tokens=answered)
    setup = on_gpu(name, gpu)
    speed = at_load(setup, lengths, load * capacity(setup, lengths, most), most, 99)
    assert isinstance(speed, Speed)
    metrics = speed.metrics
    assert metrics.ttft_ms
    assert metrics.ttft_tail_ms
    assert metrics.tpot_ms
    assert metrics.tpot_tail_ms
    assert metrics.ttft_tail_ms.median >= metrics.ttft_ms.median
    assert metrics.tpot_tail_ms.median >= metrics.tpot_ms.median
    alone_ttft, alone_tpot = unloaded(setup, lengths)
    assert metrics.ttft_ms.median >= alone_ttft * (1 - 1e-9)
    assert metrics.tpot_ms.median >= alone_tpot * (1 - 1e-9)
    assert 0 <= speed.use.bandwidth <= 1
    assert 0 <= speed.use.compute <= 1
    assert 1 <= speed.sequences <= max(most, 1)


@ANY
@given(models, gpus, places)
def test_a_closed_loop_agrees_with_itself(name: str, gpu: str, concurrency: int) -> None:
    """Little's law: so many at once are a rate times a time."""
    metrics = at_concurrency(on_gpu(name, gpu), CHAT, concurrency).metrics
    assert metrics.ttft_ms
    assert metrics.tpot_ms
    assert metrics.requests_per_s
    request_s = (metrics.ttft_ms.median + 127 * metrics.tpot_ms.median) / 1000
    assert metrics.requests_per_s.median * request_s == pytest.approx(concurrency)


def test_steps_add_up_over_what_they_hold() -> None:
    setup = on_gpu("llama-3.1-8b", "a100-80gb")
    mixed = setup.step_s(Batch(sequences=16, context=500, prompt=512, sampled=1))
    assert setup.decode(16, 500).seconds < mixed
    assert mixed < setup.decode(16, 500).seconds + setup.prefill(512).seconds

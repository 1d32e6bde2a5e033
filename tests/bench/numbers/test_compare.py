"""What two reports say of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.numbers.timings import CLOSED, MadeRun, called, closed, noisy
from pilotlight.bench.compare import Comparison, Row, compare, verdict_of
from pilotlight.bench.figures import Estimate
from pilotlight.bench.load import Load
from pilotlight.bench.record import Record
from pilotlight.bench.report import MachineFacts, Report
from pilotlight.bench.slo import Slo
from pilotlight.bench.summarize import summarize
from pilotlight.bench.workloads.workload import WorkloadSummary
from pilotlight.errors import BenchError

SLO = Slo(ttft_ms=150, tpot_ms=25)
WORK = WorkloadSummary(
    name="fixed:input=10,output=16", description="", source=None, seed=0, requests=None, sessions=0,
    input_tokens=None, max_tokens=None, exact_output=True, tokenizer=None, groups=(), digest="d1",
)  # fmt: skip


def report(name: str, runs: Sequence[MadeRun], load: Load = CLOSED, slo: Slo = SLO) -> Report:
    stage = summarize(runs, load, slo, name=f"{load.concurrency} at once")
    return Report(subject=called(name), slo=slo, stages=(stage,), workload=WORK)


def row(found: Comparison, figure: str) -> Row:
    return next(row for row in found.rows if row.figure == figure)


def test_the_same_again_is_no_difference() -> None:
    found = compare(report("a", [noisy(1)]), report("b", [noisy(2)]))
    assert {one.verdict for one in found.rows} <= {"no difference", "can't tell"}
    rate = row(found, "output_tokens_per_s")
    assert rate.verdict == "no difference"
    assert rate.text.startswith("no difference: ")
    assert found.cautions == ()


def test_a_tenth_faster_is_better_in_rates_and_latencies() -> None:
    found = compare(report("a", [noisy(1)]), report("b", [noisy(2, by=0.9)]))
    rate, latency = row(found, "output_tokens_per_s"), row(found, "e2e_ms.p50")
    assert rate.ratio is not None
    assert latency.ratio is not None
    assert rate.ratio.value == pytest.approx(1 / 0.9, rel=0.02)
    assert latency.ratio.value == pytest.approx(0.9, rel=0.02)
    assert rate.verdict == latency.verdict == "better"
    assert row(compare(report("b", [noisy(2, by=0.9)]), report("a", [noisy(1)])),
               "output_tokens_per_s").verdict == "worse"  # fmt: skip


def test_rounds_beside_each_other_cancel_what_both_felt() -> None:
    """The machine slows down by half over the rounds; b is always 4 % faster."""
    drift = (1.0, 1.2, 1.5)
    a = report("a", [noisy(seed, by=by) for seed, by in enumerate(drift)])
    b = report("b", [noisy(seed + 9, by=by / 1.04) for seed, by in enumerate(drift)])
    assert row(compare(a, b), "output_tokens_per_s").verdict == "no difference"
    paired = row(compare(a, b, rounds=True), "output_tokens_per_s")
    assert paired.verdict == "better"
    assert paired.ratio is not None
    assert paired.ratio.value == pytest.approx(1.04, abs=0.01)


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (Estimate(1.2, 1.1, 1.3), "better"),
        (Estimate(0.8, 0.7, 0.9), "worse"),
        (Estimate(1.2, 0.9, 1.5), "no difference"),
        (Estimate(1.2, None, None), "can't tell"),
        (Estimate(1.2, 1.1, None), "better"),
        (Estimate(1.2, 0.9, None), "can't tell"),
        (None, "can't tell"),
    ],
)
def test_verdicts(ratio: Estimate | None, verdict: str) -> None:
    assert verdict_of(ratio, "higher") == verdict


def test_other_work_is_refused() -> None:
    a, b = report("a", [noisy(1)]), report("b", [noisy(2)])
    other = replace(b, workload=replace(WORK, name="builtin"))
    with pytest.raises(BenchError, match="builtin"):
        compare(a, other)


def test_longer_prompts_under_the_same_name_are_refused() -> None:
    longer = MadeRun([replace(one, input_tokens=20) for one in noisy(2).records])
    with pytest.raises(BenchError, match="100% longer"):
        compare(report("a", [noisy(1)]), report("b", [longer]))


def test_reports_without_a_common_load_are_refused() -> None:
    wide = replace(CLOSED, concurrency=8)
    with pytest.raises(BenchError, match=r"4 at once.*8 at once"):
        compare(report("a", [noisy(1)]), report("b", [noisy(2, users=8)], wide))


def test_stages_are_matched_by_their_load() -> None:
    wide = replace(CLOSED, concurrency=8)
    one, eight = report("a", [noisy(1)]), report("a", [noisy(1, users=8)], wide)
    both = replace(one, stages=(*one.stages, *eight.stages))
    found = compare(both, replace(eight, subject=called("b")))
    assert {row.stage for row in found.rows} == {"8 at once"}
    assert row(found, "output_tokens_per_s").verdict == "no difference"


def test_what_makes_a_comparison_doubtful_is_said() -> None:
    a = replace(report("a", [noisy(1)]), machine=MachineFacts(cpu="x", cores=2, ram_bytes=1))
    longer = MadeRun([replace(one, output_tokens=18) for one in noisy(2, requests=16).records])
    b = replace(
        report("b", [longer], slo=Slo(ttft_ms=500)),
        machine=MachineFacts(cpu="y", cores=4, ram_bytes=1),
        workload=replace(WORK, digest="d2"),
    )
    said = " / ".join(compare(a, b).cautions)
    for part in ("very same", "service levels", "x x2 and y x4", "12% longer", "b is too short"):
        assert part in said


def test_requests_that_failed_are_said() -> None:
    """Whoever fails half of its requests may well be fast with the others."""

    def half(index: int, _: float, one: Record) -> Record:
        return replace(one, error="server") if index % 2 else one

    found = compare(report("a", [noisy(1)]), report("b", [closed(change=half)]))
    assert any("requests to b failed" in caution for caution in found.cautions)
    assert not any("requests to a failed" in caution for caution in found.cautions)


def test_another_seed_is_said() -> None:
    """One was the second load of its benchmark, the other its only one."""
    found = compare(report("a", [noisy(1)]), report("b", [noisy(2)], replace(CLOSED, seed=1000)))
    assert any("asked by seed 0 and 1000" in caution for caution in found.cautions)

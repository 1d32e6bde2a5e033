"""Facts of a report in one line each, for whoever shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pilotlight.bench.figures import Estimate
from pilotlight.bench.report import MachineFacts, Report
from pilotlight.bench.slo import Slo
from pilotlight.planner.figures import milliseconds, number, percent
from pilotlight.quantities import about_bytes


def slo_words(slo: Slo | None) -> str:
    """Such as ``chat: TTFT ≤ 200 ms, TPOT ≤ 50 ms for 95 % of requests``."""
    if slo is None:
        return ""
    bounds = (("TTFT", slo.ttft_ms), ("TPOT", slo.tpot_ms), ("end to end", slo.e2e_ms))
    kept = ", ".join(f"{name} ≤ {milliseconds(ms)}" for name, ms in bounds if ms is not None)
    return f"{slo.name}: {kept or 'answered at all'} for {percent(slo.share)} of requests"


def machine_words(report: Report) -> str:
    """Whose it is where it isn't the server's."""
    if report.machine is None:
        return ""
    who = "" if report.subject.here else " (of the load generator; the server's isn't known)"
    return f"{_hardware(report.machine)}{who}"


def quality_words(report: Report) -> str:
    found = report.quality
    if found is None:
        return ""
    return f"against {found.reference}: " + ", ".join(_qualities(report))


def _qualities(report: Report) -> Iterator[str]:
    found = report.quality
    if found is None:
        return
    if found.token_agreement is not None:
        yield f"the same next token at {estimate_words(found.token_agreement, share=True)}"
    if found.divergence is not None:
        yield f"KL divergence {estimate_words(found.divergence.nats)} nats"
    if found.perplexity is not None:
        yield f"perplexity {estimate_words(found.perplexity)}"
    if found.reference_perplexity is not None:
        yield f"perplexity of the reference {estimate_words(found.reference_perplexity)}"
    for task in found.tasks:
        yield f"{task.name} {estimate_words(task.subject, share=True)} right"


def estimate_words(found: Estimate, *, share: bool = False) -> str:
    """With its interval, where it has one."""
    words = percent if share else number
    bounds = bounds_words(found, words)
    return f"{words(found.value)} ({bounds})" if bounds else words(found.value)


def bounds_words(found: Estimate, words: Callable[[float], str]) -> str:
    """``153 to 163 ms``; a question mark for a bound that samples can't tell; empty without any."""
    if found.low == found.high:
        return ""
    low, high = ("?" if bound is None else words(bound) for bound in (found.low, found.high))
    figure, _, unit = low.partition(" ")
    return f"{figure if unit and high.endswith(f' {unit}') else low} to {high}"


def _hardware(machine: MachineFacts) -> str:
    found = (
        machine.cpu, f"{machine.cores} cores", about_bytes(machine.ram_bytes), *machine.gpus,
        machine.system,
    )  # fmt: skip
    return ", ".join(filter(None, found))

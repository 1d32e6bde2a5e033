"""Eight situations that people plan for, and the text of each one's answer.

`cd tests && python -m planner.situations` writes the golden files anew, after a fact or a constant
was changed on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pilotlight.planner.listing import distinct, rows
from pilotlight.planner.plan import Answer
from pilotlight.planner.requirements import Requirements, ServiceLevel
from pilotlight.planner.traffic import hourly

from .searches import asked, facts_of, search

GOLDEN = Path(__file__).parent / "golden"
SLOW = ServiceLevel(ttft_ms=60_000, tpot_ms=1_500, percentile=95)
READING = ServiceLevel(ttft_ms=2_000, tpot_ms=100, percentile=95)
OFFICE = (0.0,) * 8 + (0.05, 0.2, 0.3, 0.3, 0.2, 0.3, 0.3, 0.2, 0.1, 0.05) + (0.0,) * 6
"""Requests a second of a few people's working day."""


@dataclass(frozen=True, slots=True)
class Situation:
    model: str
    question: Requirements
    offers: tuple[str, ...]

    def answer(self) -> Answer:
        wanted = self.question.limits.quantizations
        return search(self.model, facts_of(*self.offers), wanted).answer(self.question)


SITUATIONS: Mapping[str, Situation] = {
    "a-1b-on-lambda": Situation(
        "llama-3.2-1b",
        asked(
            0.02,
            (150, 350),
            ServiceLevel(ttft_ms=30_000, tpot_ms=250, percentile=90),
            hours_per_day=8,
        ),
        ("lambda-x86-4096", "lambda-x86-6144", "lambda-x86-10240", "lambda-arm-6144"),
    ),
    "an-8b-on-one-l4": Situation(
        "llama-3.1-8b",
        asked(1, (800, 200), READING),
        ("g2-standard-4", "g6.xlarge", "cloud-run-l4-4x16", "modal-l4", "runpod-flex-l4"),
    ),
    "a-70b-on-h100s": Situation(
        "llama-3.3-70b",
        asked(4, (1000, 250), ServiceLevel(ttft_ms=2000, tpot_ms=50, percentile=95)),
        (
            "a3-highgpu-1g", "a3-highgpu-2g", "a3-highgpu-4g", "a3-highgpu-8g", "p5.48xlarge",
            "runpod-h100-x2", "runpod-h100-x4", "runpod-h100-x8", "own-server-h100-x8",
        ),
    ),
    "a-mixture-of-experts": Situation(
        "gpt-oss-120b",
        asked(3, (1000, 400), READING),
        ("runpod-h100", "runpod-h100-x2", "runpod-l40s-x2", "runpod-l40s-x4", "own-server-epyc"),
    ),
    "a-24-gb-desktop-with-the-rest-on-the-cpu": Situation(
        "qwen2.5-32b",
        asked(0.005, (400, 200), SLOW, quantizations=("q8_0",)),
        ("own-desktop-4090", "own-desktop-3090"),
    ),
    "a-cpu-only-server": Situation(
        "llama-3.1-8b",
        asked(0.2, (400, 150), ServiceLevel(ttft_ms=5000, tpot_ms=150, percentile=95)),
        ("own-server-epyc", "c7i.8xlarge", "c7g.16xlarge"),
    ),
    "bursty-traffic-goes-to-zero": Situation(
        "llama-3.1-8b",
        asked(
            traffic=hourly(OFFICE, 500, 150),
            service=ServiceLevel(ttft_ms=3000, tpot_ms=100, percentile=90),
        ),
        ("modal-l4", "runpod-flex-l4", "cloud-run-l4-4x16"),
    ),
    "steady-traffic-stays-up": Situation(
        "llama-3.1-8b",
        asked(1.5, (500, 150), ServiceLevel(ttft_ms=3000, tpot_ms=100, percentile=90)),
        ("modal-l4", "runpod-flex-l4", "cloud-run-l4-4x16"),
    ),
}  # fmt: skip


def text(answer: Answer) -> str:
    """The best plan of each hardware and platform, and what was turned down."""
    return "\n".join(_lines(answer)) + "\n"


def _lines(answer: Answer) -> Iterator[str]:
    shown = distinct(answer.plans, 8)
    for line in (rows(shown)[0], *rows(shown)[1]):
        yield " | ".join(line)
    for plan in shown[:1]:
        parts = ", ".join(f"{name} ${usd:,.2f}" for name, usd in plan.money.parts.items())
        yield f"money: {parts}"
    for each in answer.rejections:
        yield f"turned down: {each.family}: {each.reason}"


if __name__ == "__main__":
    for name, situation in SITUATIONS.items():
        (GOLDEN / f"{name}.txt").write_text(text(situation.answer()))

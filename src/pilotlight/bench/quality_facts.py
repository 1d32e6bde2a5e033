"""How near a model comes to its reference: what `pilotlight eval` finds and a report can carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pilotlight.bench.figures import Estimate

FORMAT = "pilotlight-quality-1"
"""Of the file that `pilotlight eval` writes."""

TaskKind = Literal["choice", "exact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScore:
    """A file of questions with known answers: the share of them answered rightly."""

    name: str
    kind: TaskKind
    items: int
    subject: Estimate
    reference: Estimate | None = None
    difference: Estimate | None = None
    """Subject less reference, question by question, so that hard questions cancel out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """KL(reference ‖ subject) of the next token, in nats, mean over positions.

    Servers tell the `top` likeliest tokens only. `nats` is the least that the divergence can be
    with what both told, and all of it where they told everything. `unseen` is the mean share of
    the reference's probability on tokens that the subject didn't tell: how much of the figure is
    a bound.
    """

    nats: Estimate
    p99_nats: float
    top: int
    unseen: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A model against its reference, position by position on the same text."""

    subject: str
    reference: str
    texts: int = 0
    positions: int = 0
    token_agreement: Estimate | None = None
    """Share of positions where both would say the same next token, each given the same text."""

    divergence: Divergence | None = None
    perplexity: Estimate | None = None
    reference_perplexity: Estimate | None = None
    perplexity_ratio: Estimate | None = None
    """Subject over reference, text by text, so that hard texts cancel out: 1 is no difference."""

    tasks: tuple[TaskScore, ...] = ()
    notes: tuple[str, ...] = ()
    """Why a figure is absent, and what a reader should know."""

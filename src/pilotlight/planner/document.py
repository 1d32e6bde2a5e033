"""An answer as JSON: what `plan --json` prints, and what `compare`, `bench` and `deploy` read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from pilotlight.errors import PlanError
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.requirements import Requirements

FORMAT = "pilotlight-plan-1"


def as_document(answer: Answer, shown: Sequence[Plan] | None = None) -> dict[str, Any]:
    """Plain data with the workload to measure it with, and every plan with its name.

    `shown` are the plans to hold, of thousands; all without it.
    """
    held = answer if shown is None else replace(answer, plans=tuple(shown))
    tree: dict[str, Any] = msgspec.to_builtins(held)
    for key in ("plans", "front", "nearest"):
        entries = zip(getattr(held, key), tree[key], strict=True)
        tree[key] = [{"name": plan.name, **entry} for plan, entry in entries]
    found = len(answer.plans)
    return {"format": FORMAT, "workload": workload(answer.asked), "found": found, **tree}


def workload(asked: Requirements) -> dict[str, Any]:
    """What `bench` has to send to measure a plan against its prediction."""
    service = asked.service
    return {
        "arrivals": {"kind": "poisson", "requests_per_s": asked.requests_per_s},
        "input_tokens": asked.lengths.input_tokens,
        "output_tokens": asked.lengths.output_tokens,
        "slo": {
            "ttft_ms": service.ttft_ms,
            "tpot_ms": service.tpot_ms,
            "percentile": service.percentile,
        },
    }


def read(data: bytes, source: str) -> Answer:
    """What `as_document` wrote.

    Raises:
        PlanError: it is no plan, or one of another version.
    """
    try:
        tree = msgspec.json.decode(data)
        found = tree.get("format") if isinstance(tree, dict) else None
        if found != FORMAT:
            raise PlanError(
                f"{source} holds format {found!r}, expected {FORMAT!r}",
                hint="make it with: pilotlight plan MODEL --json > plan.json",
            )
        return msgspec.convert(tree, Answer)
    except msgspec.ValidationError as error:
        raise PlanError(f"{source} is no plan: {error}", hint="make it anew") from None
    except msgspec.DecodeError as error:
        raise PlanError(f"{source} is not JSON: {error}", hint="make it anew") from None


def plan_at(answer: Answer, rank: int, source: str) -> Plan:
    """The plan of that rank, from 1; of what comes nearest where none is good."""
    plans = answer.plans or answer.nearest
    found = next((plan for plan in plans if plan.rank == rank), None)
    if found is None:
        ranks = ", ".join(str(plan.rank) for plan in plans[:12])
        more = ", …" if len(plans) > 12 else ""
        raise PlanError(
            f"{source} has no plan {rank}",
            hint=f"it has {ranks}{more}" if plans else "it has none at all",
        )
    return found

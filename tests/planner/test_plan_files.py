"""What a plan is written as: JSON that is read back, a page, and a file that `serve` takes."""

from __future__ import annotations

import json
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from pilotlight import config
from pilotlight.engines.llamacpp.options import complete as llamacpp_options
from pilotlight.errors import PlanError
from pilotlight.machine import Machine
from pilotlight.planner.document import as_document, plan_at, read
from pilotlight.planner.explain import explain
from pilotlight.planner.page import page
from pilotlight.planner.plan import Answer, Plan
from pilotlight.planner.serve_file import serve_file

from .searches import asked, facts_of, search

OFFERS = ("g6.xlarge", "own-desktop-4090", "cloud-run-request-4x8", "runpod-h100-x2")


@lru_cache(maxsize=1)
def found() -> Answer:
    return search("llama-3.1-8b", facts_of(*OFFERS)).answer(asked(0.5))


def _first(engine: str) -> Plan:
    return next(p for p in found().plans if p.deployment.engine == engine)


def test_json_is_read_back_as_it_was() -> None:
    text = json.dumps(as_document(found()))
    assert read(text.encode(), "plan.json") == found()


def test_json_has_ranks_names_and_the_workload() -> None:
    tree = as_document(found())
    assert [plan["rank"] for plan in tree["plans"][:3]] == [1, 2, 3]
    assert tree["plans"][0]["name"] == found().plans[0].name
    assert tree["workload"]["arrivals"] == {"kind": "poisson", "requests_per_s": 0.5}
    assert tree["workload"]["slo"] == {"ttft_ms": 1000, "tpot_ms": 100, "percentile": 95}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "is not JSON"),
        (b"[]", "holds format None"),
        (b'{"format": "pilotlight-plan-0"}', "'pilotlight-plan-0'"),
        (b'{"format": "pilotlight-plan-1", "plans": 3}', "is no plan"),
    ],
)
def test_other_files_are_no_plans(data: bytes, said: str) -> None:
    with pytest.raises(PlanError, match=r"plan\.json") as caught:
        read(data, "plan.json")
    assert said in caught.value.message
    assert caught.value.hint


def test_a_rank_that_isnt_there_says_which_are() -> None:
    with pytest.raises(PlanError, match="no plan 9999"):
        plan_at(found(), 9999, "plan.json")


@pytest.mark.parametrize("engine", ["llamacpp", "vllm"])
def test_the_file_is_what_serve_reads(engine: str, tmp_path: Path) -> None:
    plan = _first(engine)
    path = tmp_path / "pilotlight.yaml"
    path.write_text(serve_file(plan, "hf:org/repo"))
    model = config.load(path, environ={}).models["llama-3.1-8b"]
    assert (model.ref, model.engine) == ("hf:org/repo", engine)
    assert dict(model.options) == dict(plan.deployment.options)
    assert model.min == model.max == plan.deployment.replicas // plan.deployment.machines
    _accepted(engine, model)


def _accepted(engine: str, model: config.ModelSettings) -> None:
    """The engine's own check of its options."""
    machine = Machine("test", 4, 2**36, (), frozenset())
    if engine == "llamacpp":
        options = llamacpp_options(model.options, machine)
        assert options.parallel == model.options["parallel"]
    else:
        from pilotlight.engines.vllm.options import complete

        assert complete(model.options, machine, True).max_num_seqs == model.options["max_num_seqs"]


def test_every_plan_with_a_ref_makes_a_file(tmp_path: Path) -> None:
    for plan in found().plans:
        if plan.deployment.ref is not None:
            tree = yaml.safe_load(serve_file(plan))
            assert tree["models"]["llama-3.1-8b"]["ref"] == plan.deployment.ref


def test_without_known_weights_there_is_no_file() -> None:
    plan = next(plan for plan in found().plans if plan.deployment.ref is None)
    with pytest.raises(PlanError, match="publish") as caught:
        serve_file(plan)
    assert "--ref" in str(caught.value.hint)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.outside += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    answer = found()
    some = search("llama-3.1-8b", facts_of(*OFFERS))
    text = page(answer, [explain(answer, answer.plans[0], some)])
    parsed = _Page()
    parsed.feed(text)
    assert parsed.open == []
    assert parsed.outside == []
    assert "url(" not in text
    assert "script" not in parsed.tags
    kinds = {plan.kind[:6] for plan in answer.plans}
    assert parsed.tags.count("circle") == len(kinds) + len(answer.front)
    assert answer.rejections[0].family in text
    assert "Break-even" in text


def test_names_from_files_dont_become_markup() -> None:
    from dataclasses import replace

    plan = found().plans[0]
    evil = replace(plan, deployment=replace(plan.deployment, model="<b>&amp;"))
    text = page(replace(found(), plans=(evil,), front=(evil,)))
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;amp;" in text


def test_an_explanation_has_every_part() -> None:
    answer = found()
    plan = answer.plans[0]
    told = explain(answer, plan, search("llama-3.1-8b", facts_of(*OFFERS)))
    titles = [section.title for section in told.sections]
    assert titles[:5] == ["Plan", "Speed", "Memory", "Money", "Break-even"]
    lines = {label: text for section in told.sections for label, text in section.lines}
    assert plan.speed.bottleneck in lines["bottleneck"]
    assert lines["energy"].endswith("estimated-tdp")
    assert any(label.startswith("openai/gpt-4o") for label in lines)
    assert "requests/s" in lines["openai/gpt-4o"]
    assert "Constants" in titles
    prices = lines["prices from"]
    (rented,) = facts_of(plan.deployment.offer).rented
    assert rented.offer.source in prices
    assert rented.platform.source in prices

"""The checks of every engine, on an endpoint that is the fake engine behind a port.

Left out are those that look at a process, of which there is none here, and those that
need a counter, a tokenizer or a context that OpenAI's API has no word for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pilotlight.core import ModelRef
from pilotlight.engines.openai import OpenAIEngine
from pilotlight.errors import EngineUnreachableError
from pilotlight.fleet.local import LocalFleet
from pilotlight.router.catalogue import nothing_of
from pilotlight.testing import FakeOptions, conformance
from pilotlight.testing.conformance import Check, Subject
from pilotlight.testing.server import Model

LEFT_OUT = (
    conformance.declarations_agree,  # it takes no memory here
    conformance.text_survives_tokenize_and_detokenize,
    conformance.a_killed_process_breaks_its_answers,
    conformance.stop_leaves_nothing,
)
CHECKS = [check for check in conformance.CHECKS if check not in LEFT_OUT]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    model = Model("big-one", FakeOptions(context=256, words=400, token_delay_ms=1.0), None)
    yield await model.listen_on_port(0)
    model.close()


@pytest.fixture
async def subject(port: int, tmp_path: Path) -> AsyncIterator[Subject]:
    fleet = LocalFleet(tmp_path / "logs")
    yield Subject(
        engine=OpenAIEngine(),
        fleet=fleet,
        files=nothing_of(ModelRef("openai", "big-one")),
        given={
            "base_url": f"http://127.0.0.1:{port}/v1",
            "context": 256,
            "max_concurrency": 4,
        },
        kill=lambda process: None,
        long_tokens=200,
    )
    await fleet.close()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_conformance(check: Check, subject: Subject) -> None:
    await check(subject)


async def test_what_was_let_go_answers_no_more(subject: Subject) -> None:
    launch = subject.engine.command(subject.seat(), subject.job)
    process = await subject.fleet.launch(launch)
    await subject.engine.load(process, subject.job)
    assert await subject.engine.progress(process) is not None
    await process.stop()
    assert not process.alive
    assert await process.wait() == "let go"
    with pytest.raises(EngineUnreachableError):
        await process.client.open(*subject.chat(max_tokens=1))
    assert await subject.engine.progress(process) is None

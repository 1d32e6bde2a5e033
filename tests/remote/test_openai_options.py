"""What the openai engine takes, and what it makes of it; no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pilotlight.core import ModelRef, Operation, Price
from pilotlight.engines.base import ModelJob, Seat
from pilotlight.engines.openai import OpenAIEngine
from pilotlight.errors import ConfigError, EngineMissingError, EngineOptionError
from pilotlight.router.catalogue import nothing_of

SEAT = Seat(Path("/nonexistent"), Path("/nonexistent/s"), "the-secret")
FILES = nothing_of(ModelRef("openai", "big-one"))
KEY = "sk-very-secret"


def job(**given: Any) -> ModelJob:
    return ModelJob("served", FILES, OpenAIEngine().options(given))


def test_openai_itself_needs_no_more_than_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    launch = OpenAIEngine().command(SEAT, job())
    assert launch.argv == ()
    assert launch.remote is not None
    assert launch.remote.url == "https://api.openai.com/v1"
    assert launch.remote.headers == {"Authorization": f"Bearer {KEY}"}


def test_another_endpoint_gets_no_key_that_is_not_meant_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    launch = OpenAIEngine().command(SEAT, job(base_url="http://other.example:8000/v1/"))
    assert launch.remote is not None
    assert launch.remote.url == "http://other.example:8000/v1"
    assert launch.remote.headers == {}


def test_every_option_reaches_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", KEY)
    engine = OpenAIEngine()
    made = job(
        base_url="https://api.example.com/v1", api_key_env="OTHER_KEY", organization="org-1",
        project="proj-1", headers={"X-Team": "blue"}, timeout="90s", max_concurrency=3,
        context=8192, operations=["chat", "responses"], parameters=["top_k"], tools=False,
        vision="off", ready="/health", usd_per_mtok_in=0.15, usd_per_mtok_out=0.6,
        usd_per_mtok_cached=0.075,
    )  # fmt: skip
    remote = engine.command(SEAT, made).remote
    assert remote is not None
    assert remote.timeout_s == 90.0
    assert remote.headers == {
        "X-Team": "blue",
        "OpenAI-Organization": "org-1",
        "OpenAI-Project": "proj-1",
        "Authorization": f"Bearer {KEY}",
    }
    assert engine.slots(made.options) == 3
    assert engine.context(FILES, made.options) == 8192
    assert engine.canary(made) == ("/health", None)
    can = engine.capabilities(FILES, made.options)
    assert can.operations == {Operation.CHAT, Operation.RESPONSES}
    assert can.parameters == {op: frozenset({"top_k"}) for op in can.operations}
    assert (can.tools, can.vision, can.model) == (False, False, "big-one")
    assert can.price == Price(0.15, 0.6, 0.075)


def test_no_text_that_anybody_may_see_holds_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made = job()
    launch = OpenAIEngine().command(SEAT, made)
    assert KEY not in repr(made)
    assert KEY not in repr(launch)
    assert KEY not in repr(launch.remote)
    assert launch.env == {}


@pytest.mark.parametrize("held", ["", "  ", "sk-\x07", "sk-ключ"])
def test_a_key_that_is_missing_or_none_is_said_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, held: str
) -> None:
    monkeypatch.setenv("SOME_KEY", held)
    with pytest.raises(EngineMissingError, match="'SOME_KEY'") as caught:
        OpenAIEngine().command(SEAT, job(api_key_env="SOME_KEY"))
    assert not held.strip() or held not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"bas_url": "x"}, "did you mean 'base_url'"),
        ({"base_url": "ftp://x/v1"}, "'ftp://x/v1'"),
        ({"base_url": "https://user:pw@x/v1"}, "'https://***@x/v1'"),
        ({"base_url": "https://x/v1?key=1"}, "expected an address"),
        ({"base_url": "https://x:port/v1"}, "expected an address"),
        ({"base_url": 7}, "expected an address"),
        ({"base_url": f"https://{'x' * 64}.com/v1"}, "expected an address"),
        ({"base_url": "https://../v1"}, "expected an address"),
        ({"base_url": "https://a b/v1"}, "expected an address"),
        ({"api_key_env": "sk-proj-123"}, "is (hidden), expected the name of an environment"),
        ({"headers": {"Authorization": "Bearer x"}}, "is (hidden)"),
        ({"headers": {"X-Bad": "a\r\nb: c"}}, "a mapping"),
        ({"headers": ["x"]}, "a mapping"),
        ({"timeout": "forever"}, "a duration"),
        ({"timeout": 0}, "a duration"),
        ({"operations": ["chat", "sing"]}, "a list of chat"),
        ({"operations": []}, "a list of chat"),
        ({"ready": "models"}, "begins with /"),
        ({"max_concurrency": 0}, "from 1 to 4096"),
        ({"usd_per_mtok_in": 1}, "'usd_per_mtok_out' is missing"),
        ({"usd_per_mtok_cached": 1}, "'usd_per_mtok_in' is missing"),
        ({"usd_per_mtok_in": -1, "usd_per_mtok_out": 1}, "at least 0"),
    ],
)
def test_a_wrong_option_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(EngineOptionError, match="the openai ") as caught:
        OpenAIEngine().options(given)
    assert says in str(caught.value)


def test_bytes_of_our_own_can_not_run_there() -> None:
    with pytest.raises(ConfigError, match="'hf:org/model'"):
        OpenAIEngine().owns(ModelRef("hf", "org/model"))

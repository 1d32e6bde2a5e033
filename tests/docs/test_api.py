"""docs/api.md against the gateway: its routes, parameters, headers and errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pilotlight import errors
from pilotlight.core import ModelRef
from pilotlight.errors import (
    BenchError,
    CalibrationError,
    ConfigError,
    DeployError,
    EngineInstallError,
    PilotlightError,
    PlanError,
    ServerError,
)
from pilotlight.store.progress import Progress

from . import parameters
from .api import ROUTES
from .blocks import blocks, read, section, tables
from .house import MODEL, chat, served

PAGE = "docs/api.md"
ACCESS = {(True, False): "anyone", (False, False): "key", (False, True): "admin key"}


def test_every_route_and_who_may_take_it() -> None:
    [table] = tables(section(PAGE, "## Routes"))
    documented = {(row[0].strip("`"), row[1]) for row in table}
    there = {
        (f"{method} {path}", ACCESS[route.public, route.admin])
        for path, methods in ROUTES.items()
        for method, route in methods.items()
    }
    assert documented == there


def test_the_parameters_are_those_of_the_tables() -> None:
    text = read(PAGE).partition(parameters.BEGIN)[2].partition(parameters.END)[0]
    assert text.strip() == parameters.render(), "cd tests && python -m docs.parameters"


def _errors_on_the_wire() -> Iterator[type[PilotlightError]]:
    said_by_the_command_line = (
        ServerError, ConfigError, EngineInstallError, PlanError, BenchError, CalibrationError,
        DeployError,
    )  # fmt: skip
    for item in vars(errors).values():
        if isinstance(item, type) and issubclass(item, PilotlightError):
            yield from () if issubclass(item, said_by_the_command_line) else (item,)


def test_every_error_and_its_status() -> None:
    [table] = tables(section(PAGE, "## Errors"))
    documented = {(row[0].strip("`"), int(row[1])) for row in table}
    assert documented == {(error.code, error.status) for error in _errors_on_the_wire()}


EXAMPLES = [block for block in blocks(PAGE) if block.language == "json"]


@pytest.mark.parametrize(
    ("index", "path"), [(1, "/v1/chat/completions"), (2, "/v1/messages"), (3, "/api/chat")]
)
async def test_an_error_looks_as_shown(tmp_path: Path, index: int, path: str) -> None:
    async with served(tmp_path) as (_, client):
        answer = await client.post(
            path, json=chat(model="smollm2"), headers={"x-request-id": "req-1"}
        )
    assert answer.status_code == 404
    assert answer.json() == json.loads(EXAMPLES[index].text)


async def test_the_keep_alive_example_is_accepted(tmp_path: Path) -> None:
    async with served(tmp_path) as (house, client):
        body: dict[str, Any] = json.loads(EXAMPLES[0].text)
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
        assert house.router.state.models[MODEL].keep_alive_s == 3600


async def test_no_answer_has_a_header_the_page_leaves_out(tmp_path: Path) -> None:
    [table] = tables(section(PAGE, "## Headers"))
    documented = {name for row in table for name in re.findall(r"`([^`]+)`", row[0])}
    async with served(tmp_path) as (_, client):
        answers = [
            await client.post("/v1/chat/completions", json=chat()),
            await client.post("/v1/chat/completions", json=chat(stream=True)),
            await client.post("/v1/messages", json=chat(model="nobody")),
            await client.get("/health", headers={"origin": "http://localhost:3000"}),
        ]
    seen = {name for answer in answers for name in answer.headers}
    assert {"x-request-id", "x-pilotlight-ttft-ms", "request-id", "cache-control"} <= seen
    assert seen <= documented | {"content-type", "content-length"}


async def test_the_admin_answers_have_the_fields_that_the_page_lists(tmp_path: Path) -> None:
    text = section(PAGE, "## Running Pilotlight")
    async with served(tmp_path) as (house, client):
        await client.post("/v1/chat/completions", json=chat())
        progress = Progress(ModelRef.parse("fake:m"), "download", 1, 2)
        house.performer.arrivals.downloads[MODEL] = progress  # as while another model is fetched
        for item in text.split("\n- ")[1:]:
            method, path = re.match(r"`(GET|POST) ([^`]+)`", item).groups()  # type: ignore[union-attr]
            body = {"model": MODEL} if method == "POST" else None
            answer = await client.request(method, path, json=body)
            assert answer.status_code == 200
            documented = set(re.findall(r"`([a-z_]+)`", item))
            assert documented == _fields(answer.json()), path


def _fields(answer: Any) -> set[str]:
    """Every key of the answer's objects, but for those that are names themselves."""
    if isinstance(answer, list):
        return set().union(*map(_fields, answer))
    if not isinstance(answer, dict):
        return set()
    named = {"options", "parameters", "lacks"}
    named |= {"adapters"} if isinstance(answer.get("adapters"), dict) else set()
    inner = (_fields(value) for name, value in answer.items() if name not in named)
    return set(answer).union(*inner)

"""What the terminal and the logs show."""

from __future__ import annotations

import io
import json
import logging
import shlex

import pytest

from pilotlight.core import ModelRef
from pilotlight.gateway.console import Console, curl_line
from pilotlight.gateway.logs import HumanFormatter, JsonFormatter
from pilotlight.store.progress import Progress

from .conftest import Build


def record(**fields: object) -> logging.LogRecord:
    made = logging.LogRecord("pilotlight.access", logging.INFO, "x", 1, "GET %s", ("/a",), None)
    made.fields = fields
    return made


def test_json_lines_carry_their_fields() -> None:
    line = json.loads(JsonFormatter().format(record(request_id="req-1", ms=1.5)))
    assert line["message"] == "GET /a"
    assert line["request_id"] == "req-1"
    assert line["level"] == "info"
    assert line["time"].endswith("Z")


def test_human_lines_leave_out_what_is_unknown() -> None:
    line = HumanFormatter().format(record(request_id="req-1", replica=None))
    assert "request_id=req-1" in line
    assert "replica" not in line


def test_a_traceback_is_kept() -> None:
    made = record()
    try:
        raise ValueError("why")
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    assert "why" in JsonFormatter().format(made)
    assert "why" in HumanFormatter().format(made)


@pytest.mark.parametrize("keyed", [True, False])
def test_the_curl_line_is_one_a_shell_reads(keyed: bool) -> None:
    line = curl_line("http://127.0.0.1:8080", "it's:1b", keyed=keyed, private_ca=False)
    words = shlex.split(line)
    assert json.loads(words[-1])["model"] == "it's:1b"
    assert ("$PILOTLIGHT_API_KEY" in line) is keyed


async def test_progress_and_the_address(street: Build) -> None:
    s = await street()
    out = io.StringIO()
    console = Console(out)
    console.downloading("m", Progress(ModelRef("fake", "m"), "download", 25_000_000, 100_000_000))
    console.listening("http://127.0.0.1:1", s.house)
    console.close()
    text = out.getvalue()
    assert "m: download 25.0 of 100.0 MB (25%)" in text
    assert "curl http://127.0.0.1:1/v1/chat/completions" in text

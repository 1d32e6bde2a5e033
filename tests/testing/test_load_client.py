"""The benchmarks' load client counts what a known upstream sends, and believes no broken answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
SERVER = (sys.executable, "-m", "pilotlight.testing.server")


@pytest.fixture
def serve() -> Iterator[Callable[..., int]]:
    """Start an upstream with these options; gives its port."""
    running: list[subprocess.Popen[bytes]] = []

    def start(**options: Any) -> int:
        given = json.dumps({"ram_bytes": 0, **options})
        argv = [*SERVER, "--port", "0", "--options", given]
        popen = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        running.append(popen)
        assert popen.stdout is not None
        return int(json.loads(popen.stdout.readline())["port"])

    yield start
    for popen in running:
        popen.kill()
        popen.communicate()


def load(port: int, *flags: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "benchmarks.load", "--json", "--port", str(port), *flags]
    env = {**os.environ, "BENCH_API_KEY": "any"}
    done = subprocess.run(argv, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_it_counts_every_stream_event_and_token(serve: Callable[..., int]) -> None:
    port = serve(words=64)
    result = load(port, "--concurrency", "3", "--requests", "10", "--warmup", "3")
    assert result["errors"] == []
    assert len(result["total_ms"]) == len(result["ttfb_ms"]) == 10
    assert result["tokens"] == 10 * 64
    assert result["events"] == 10 * (64 + 4)  # a role, a finish reason, the usage, [DONE]
    assert all(
        0 < ttfb <= total for ttfb, total in zip(result["ttfb_ms"], result["total_ms"], strict=True)
    )


def test_a_token_delay_shows_in_the_time(serve: Callable[..., int]) -> None:
    result = load(serve(words=10, token_delay_ms=5), "--requests", "2")
    assert min(result["total_ms"]) >= 50
    assert max(result["ttfb_ms"]) < min(result["total_ms"])


def test_an_answer_that_breaks_off_is_an_error(serve: Callable[..., int]) -> None:
    result = load(serve(crash_after=5), "--requests", "1")
    assert result["total_ms"] == []
    assert "mid-answer" in result["errors"][0]


def test_a_refusal_is_an_error(serve: Callable[..., int]) -> None:
    result = load(serve(context=1), "--requests", "1")
    assert result["total_ms"] == []
    assert "400" in result["errors"][0]

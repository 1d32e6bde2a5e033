"""`pull` through the real store, from a real HTTP server; and its progress line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pilotlight.cli.meter import ProgressMeter
from pilotlight.core import ModelRef
from pilotlight.store.progress import FetchPhase, Progress

from .conftest import Call

MODEL = b"GGUF" + bytes(range(256)) * 400


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@dataclass(frozen=True, slots=True)
class Shop:
    url: str
    directory: Path


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "small.gguf").write_bytes(MODEL)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(directory)))
    thread = Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield Shop(f"http://127.0.0.1:{http.server_port}", directory)
    http.shutdown()
    thread.join()
    http.server_close()


def test_a_model_is_fetched_into_the_store_once(call: Call, shop: Shop, home: Path) -> None:
    result = call("pull", f"{shop.url}/small.gguf")
    assert result.exit_code == 0, result.stderr
    path = Path(result.stdout.split()[-1])
    assert path.read_bytes() == MODEL
    assert path.is_relative_to(home / "data/pilotlight/store")
    assert f"{shop.url}/small.gguf: " in result.stderr
    (shop.directory / "small.gguf").unlink()
    again = call("pull", f"{shop.url}/small.gguf", "--json")
    assert json.loads(again.stdout) == {
        "models": [
            {
                "ref": f"{shop.url}/small.gguf",
                "path": str(path),
                "size_bytes": len(MODEL),
                "digest": f"sha256:{hashlib.sha256(MODEL).hexdigest()}",
            }
        ]
    }


def test_the_models_of_a_file_are_fetched_with_their_pins(
    call: Call, shop: Shop, home: Path
) -> None:
    ref = f"{shop.url}/small.gguf"
    good = hashlib.sha256(MODEL).hexdigest()
    (home / "good.yaml").write_text(f"models: {{m: {{ref: '{ref}', digest: 'sha256:{good}'}}}}")
    assert call("pull", "--config", "good.yaml").exit_code == 0
    (home / "bad.yaml").write_text(f"models: {{m: {{ref: '{ref}', digest: 'sha256:{'0' * 64}'}}}}")
    result = call("pull", "--config", "bad.yaml")
    assert result.exit_code == 1
    assert "error: " in result.stderr
    assert good in result.stderr


def test_what_is_not_there_is_an_error(call: Call, shop: Shop) -> None:
    result = call("pull", f"{shop.url}/none.gguf")
    assert result.exit_code == 1
    assert "none.gguf" in result.stderr
    assert "Traceback" not in result.stderr


def test_offline_fetches_nothing(call: Call, shop: Shop) -> None:
    result = call("pull", f"{shop.url}/small.gguf", "--store-offline")
    assert result.exit_code == 1
    assert "offline" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["ftp:x"]])
def test_nothing_to_fetch_is_wrong_usage(call: Call, arguments: list[str]) -> None:
    assert call("pull", *arguments).exit_code == 2


REF = ModelRef("https", "//me:pw@host/small.gguf")


def _at(phase: FetchPhase, done_bytes: int, total_bytes: int | None = 10**9) -> Progress:
    return Progress(REF, phase, done_bytes, total_bytes)


def test_progress_shows_rate_and_time_left() -> None:
    meter = ProgressMeter(tty=True)
    name = "https://***@host/small.gguf"
    assert meter.line(Progress(REF, "resolve", 0, None), 0.0) == f"{name}: resolve"
    assert meter.line(_at("download", 0), 1.0) == f"{name}: download 0%, 0 B of 1.0 GB"
    assert meter.line(_at("download", 10**8), 1.05) is None
    assert meter.line(_at("download", 2 * 10**8), 3.0) == (
        f"{name}: download 20%, 200.0 MB of 1.0 GB, 100.0 MB/s, 8.0 s left"
    )
    assert meter.line(_at("download", 10**9), 3.01) is not None


def test_a_new_phase_starts_its_rate_anew() -> None:
    meter = ProgressMeter(tty=True)
    meter.line(_at("download", 0), 0.0)
    meter.line(_at("download", 10**9), 1.0)
    assert meter.line(_at("verify", 0), 1.0) == (
        "https://***@host/small.gguf: verify 0%, 0 B of 1.0 GB"
    )


def test_an_unknown_size_shows_what_is_known() -> None:
    meter = ProgressMeter(tty=True)
    meter.line(_at("download", 0, None), 0.0)
    assert meter.line(_at("download", 10**6, None), 1.0) == (
        "https://***@host/small.gguf: download 1.0 MB, 1.0 MB/s"
    )


def test_a_log_gets_few_lines() -> None:
    meter = ProgressMeter(tty=False)
    lines = [meter.line(_at("download", n * 10**7), n * 0.5) for n in range(101)]
    assert 5 <= sum(line is not None for line in lines) <= 8

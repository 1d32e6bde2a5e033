"""`pull` through the real store, from a real HTTP server; and its progress line."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

import pytest

from pilotlight.cli.meter import Panel, ProgressMeter
from pilotlight.core import ModelRef
from pilotlight.store.progress import FileProgress, Progress

from .conftest import Call

MODEL = b"GGUF" + bytes(range(256)) * 400


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class Holding(ThreadingHTTPServer):
    """Serves ranges of one body, and nothing past `after_bytes` in sum until it is released."""

    def __init__(self, body: bytes, after_bytes: int) -> None:
        super().__init__(("127.0.0.1", 0), Ranges)
        self.body, self.after_bytes, self.sent_bytes = body, after_bytes, 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._held, self._released = Event(), Event()
        self._lock = Lock()
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def may_send(self, count: int) -> None:
        with self._lock:
            over = self.sent_bytes + count > self.after_bytes
        if over and not self._released.is_set():
            self._held.set()
            self._released.wait()
        with self._lock:
            self.sent_bytes += count

    def wait_until_held(self) -> None:
        assert self._held.wait(30)

    def release(self) -> None:
        self._released.set()

    def __exit__(self, *args: Any) -> None:
        self.release()
        self.shutdown()
        super().__exit__(*args)


class Ranges(BaseHTTPRequestHandler):
    server: Holding

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        body = self.server.body
        start, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        first, end = int(start), min(len(body), int(last) + 1 if last else len(body))
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{end - 1}/{len(body)}")
        self.send_header("Content-Length", str(end - first))
        self.send_header("ETag", '"one"')
        self.end_headers()
        with suppress(OSError):  # the client was interrupted
            for at in range(first, end, 2**18):
                piece = body[at : min(end, at + 2**18)]
                self.server.may_send(len(piece))
                self.wfile.write(piece)


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


def test_several_refs_come_at_once_and_one_that_fails_stops_no_other(
    call: Call, shop: Shop
) -> None:
    (shop.directory / "other.gguf").write_bytes(MODEL + b"more")
    result = call("pull", *(f"{shop.url}/{name}.gguf" for name in ("small", "none", "other")))
    assert result.exit_code == 1
    assert "none.gguf" in result.stderr
    listed = json.loads(call("store", "list", "--json").stdout)["models"]
    assert [entry["ref"].rpartition("/")[2] for entry in listed] == ["other.gguf", "small.gguf"]


def test_ctrl_c_keeps_what_has_arrived(home: Path) -> None:
    """A real process, interrupted while the server holds the rest back."""
    body = b"GGUF" + bytes(24 * 2**20)
    with Holding(body, after_bytes=10 * 2**20) as server:
        command = [sys.executable, "-m", "pilotlight.cli", "pull", f"{server.url}/big.gguf"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        server.wait_until_held()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "what has arrived is kept" in said
        assert "Traceback" not in said
        server.release()
        again = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=30)
        path = json.loads(again.stdout)["models"][0]["path"]
        assert Path(path).read_bytes() == body
        assert server.sent_bytes < len(body) + 10 * 2**20, "not all of it twice"


REF = ModelRef("https", "//me:pw@host/small.gguf")
NAME = "https://***@host/small.gguf"
GB = 10**9


def test_progress_shows_rate_and_time_left() -> None:
    meter = ProgressMeter(tty=True)
    assert meter.line(NAME, ("resolve", 0, None), 0.0) == f"{NAME}: resolve"
    assert meter.line(NAME, ("download", 0, GB), 1.0) == f"{NAME}: download 0%, 0 B of 1.0 GB"
    assert meter.line(NAME, ("download", 10**8, GB), 1.05) is None
    assert meter.line(NAME, ("download", 2 * 10**8, GB), 3.0) == (
        f"{NAME}: download 20%, 200.0 MB of 1.0 GB, 100.0 MB/s, 8.0 s left"
    )
    assert meter.line(NAME, ("download", GB, GB), 3.01) is not None


def test_a_new_phase_starts_its_rate_anew() -> None:
    meter = ProgressMeter(tty=True)
    meter.line(NAME, ("download", 0, GB), 0.0)
    meter.line(NAME, ("download", GB, GB), 1.0)
    assert meter.line(NAME, ("verify", 0, GB), 1.0) == f"{NAME}: verify 0%, 0 B of 1.0 GB"


def test_an_unknown_size_shows_what_is_known() -> None:
    meter = ProgressMeter(tty=True)
    meter.line(NAME, ("download", 0, None), 0.0)
    line = meter.line(NAME, ("download", 10**6, None), 1.0)
    assert line == f"{NAME}: download 1.0 MB, 1.0 MB/s"


def test_a_log_gets_few_lines() -> None:
    meter = ProgressMeter(tty=False)
    lines = [meter.line(NAME, ("download", n * 10**7, GB), n * 0.5) for n in range(101)]
    assert 5 <= sum(line is not None for line in lines) <= 8


def _several(done: int, other: int) -> Progress:
    files = (
        FileProgress("a.safetensors", "download", done, 100),
        FileProgress("b.safetensors", "verify" if other == 50 else "download", other, 50),
    )
    return Progress(REF, "download", done + other, 150, files)


def test_a_terminal_shows_the_whole_and_each_file_that_isnt() -> None:
    panel = Panel(tty=True, width=60)
    first = panel.update(_several(10, 20), 0.0)
    assert first == (
        f"{NAME}: download 20%, 30 B of 150 B\n"
        "  a.safetensors: download 10%, 10 B of 100 B\n"
        "  b.safetensors: download 40%, 20 B of 50 B\n"
    )
    second = panel.update(_several(60, 50), 1.0)
    assert second is not None
    assert second.startswith("\x1b[3F\x1b[J"), "drawn over the three lines before"
    assert "b.safetensors" not in second
    assert all(len(line) < 60 for line in second.removeprefix("\x1b[3F\x1b[J").splitlines())
    assert panel.cleared() == "\x1b[2F\x1b[J"


def test_a_log_names_the_files() -> None:
    panel = Panel(tty=False)
    text = panel.update(_several(10, 20), 0.0)
    assert text is not None
    assert f"{NAME} b.safetensors: download 40%, 20 B of 50 B\n" in text
    assert panel.update(_several(10, 20), 60.0) is None, "nothing new"
    assert "\x1b" not in text

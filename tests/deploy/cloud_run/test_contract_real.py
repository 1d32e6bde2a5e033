"""The image under Cloud Run's container contract, in podman, with the real model.

As Cloud Run does it: PORT names the port, the startup probe asks /ready each second, so many
requests come at once, there is next to no CPU between requests, and SIGTERM is followed by
SIGKILL 10 s later. What a container is told is what `wanted` tells Cloud Run.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.cloud_run.releases import CHAT
from deploy.image.built import MODEL, REF, Running, built_image, container, podman
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.placement import CloudRunRelease

pytestmark = pytest.mark.platforms

AT_ONCE = 16
GRACE_S = 10
RELEASE: CloudRunRelease = replace(
    CHAT,
    serve={"models": {MODEL: {"ref": REF, "options": {"context": 1024}}}},
    scaling=replace(CHAT.scaling, concurrency=AT_ONCE),
)


def told() -> dict[str, str]:
    """The variables of the service, without the keys: those are this test's own."""
    service = CloudRun().wanted(RELEASE)["service/chat"]
    variables = service["template"]["containers"][0]["env"]
    return {each["name"]: each["value"] for each in variables if "KEYS" not in each["name"]}


@contextmanager
def instance(*flags: str, port: int = 8080) -> Iterator[Running]:
    with container(built_image("wheel"), *flags, env=told(), port=port) as running:
        yield running


def chat(tokens: int, stream: bool = True) -> dict[str, Any]:
    return {
        "model": MODEL,
        "stream": stream,
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": "Count from one to a thousand, in words."}],
    }


def events(running: Running, tokens: int, timeout_s: float = 120) -> Iterator[str]:
    """The data of each event, as it comes."""
    with running.request("/v1/chat/completions", chat(tokens), timeout_s) as answer:  # type: ignore[attr-defined]
        for line in answer:
            if line.startswith(b"data: "):
                yield line[6:].decode().strip()


def probe(running: Running, path: str) -> int | None:
    """The status that a probe sees; None where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"{running.url}{path}", timeout=1) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return None


def test_it_listens_where_port_says_and_is_ready_when_it_can_answer() -> None:
    # A tenth of a core, so that the time between listening and being ready is easy to meet.
    with instance("--cpus", "0.2", port=9191) as running:
        seen: list[int | None] = []
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and 200 not in seen:
            status = probe(running, "/ready")
            if not seen or seen[-1] != status:
                seen.append(status)
        assert [status for status in seen if status is not None] == [503, 200], running.logs()
        assert probe(running, "/health") == 200
        podman("update", "--cpus", "2", running.id, check=False)
        assert list(events(running, 4))[-1] == "[DONE]"


def test_as_many_as_its_concurrency_are_answered_at_once_and_probes_too() -> None:
    with instance() as running, ThreadPoolExecutor(AT_ONCE) as pool:
        running.until_ready()
        answers = [pool.submit(lambda: list(events(running, 12))) for _ in range(AT_ONCE)]
        looked = []
        while wait(answers, timeout=0.2).not_done:
            looked.append(probe(running, "/health"))
        for answer in answers:
            *chunks, last = answer.result()
            assert last == "[DONE]"
            text = "".join(
                choice["delta"].get("content") or ""
                for chunk in chunks
                for choice in json.loads(chunk)["choices"]
            )
            assert text
        assert looked
        assert set(looked) == {200}


def test_sigterm_ends_it_in_time_and_the_stream_with_a_proper_end() -> None:
    with instance() as running, ThreadPoolExecutor(1) as pool:
        running.until_ready()
        stream = events(running, 900)
        first = next(stream)
        assert json.loads(first)["choices"]
        rest = pool.submit(lambda: list(stream))
        # SIGTERM, and SIGKILL when the grace is over, as Cloud Run does.
        podman("stop", "--time", str(GRACE_S), running.id)
        code = podman("inspect", "--format", "{{.State.ExitCode}}", running.id).stdout.strip()
        *_, last = rest.result(timeout=5)
        assert code == "0", f"{code} (137 is SIGKILL): {running.logs()}"
        # Finished within the grace, or broken off in the API's own words; never just cut.
        assert last == "[DONE]" or json.loads(last)["error"]["message"]


def throttle(running: Running, share: float) -> None:
    """So much of one core, at once: Cloud Run's CPU between requests is next to nothing."""
    quota = _cgroup(running)
    period_us = 100_000
    if quota.name == "cpu.max":
        quota.write_text(f"{int(share * period_us)} {period_us}")
    else:
        quota.write_text(f"{int(share * period_us)}")


def _cgroup(running: Running) -> Path:
    """The file that holds the container's quota, in cgroup version 1 or 2."""
    pid = podman("inspect", "--format", "{{.State.Pid}}", running.id).stdout.strip()
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        at = path.lstrip("/")
        for file in (
            Path("/sys/fs/cgroup/cpu,cpuacct", at, "cpu.cfs_quota_us"),
            Path("/sys/fs/cgroup/cpu", at, "cpu.cfs_quota_us"),
            Path("/sys/fs/cgroup", at, "cpu.max"),
        ):
            if ("cpu" in controllers.split(",") or not controllers) and file.is_file():
                return file
    pytest.skip("the CPU cgroup of a container can't be found on this machine")


def throttled(running: Running) -> int:
    """How many periods it has run into its quota."""
    counts = dict(
        line.split() for line in _cgroup(running).with_name("cpu.stat").read_text().splitlines()
    )
    return int(counts["nr_throttled"])


def starts(running: Running) -> int:
    """How often an engine was started."""
    with running.request("/pilotlight/v1/cold-starts") as answer:  # type: ignore[attr-defined]
        return len(json.load(answer)["cold_starts"])


def test_without_cpu_between_requests_the_next_one_is_answered_as_before() -> None:
    with instance() as running:
        running.until_ready()
        assert list(events(running, 8))[-1] == "[DONE]"
        begun = starts(running)
        for _ in range(3):
            before = throttled(running)
            throttle(running, 0.01)
            # A liveness probe's worth of work is more than it may do now, over and over.
            while throttled(running) < before + 10:
                probe(running, "/health")
            throttle(running, 2.0)
            assert list(events(running, 8, timeout_s=30))[-1] == "[DONE]"
        assert probe(running, "/ready") == 200
        assert starts(running) == begun, "an engine was started again"

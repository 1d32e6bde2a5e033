"""A release on a machine that systemd boots: installed, rebooted, updated, taken back, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.image.built import make_keys
from pilotlight.core import ModelFiles

from .machine import MODEL, Machine, booted

pytestmark = pytest.mark.platforms

UNIT = "pilotlight-chat.service"
SERVE = {"models": {"smol": {"ref": f"file:{MODEL}", "options": {"context": 512}}}, "drain": "5s"}
OTHER = {**SERVE, "drain": "6s"}
OPTIONS = {"ready": "5m"}


@pytest.fixture(scope="module")
def secret() -> tuple[dict[str, Any], str]:
    keys, key = make_keys()
    return json.loads(keys), key


@pytest.fixture(scope="module")
def machine(smollm: ModelFiles, secret: tuple[dict[str, Any], str]) -> Iterator[Machine]:
    with booted(smollm.path, secret[0]) as machine:
        done = machine.asks("apply", SERVE, **OPTIONS)
        assert "error" not in done, done
        yield machine
        removed = machine.asks("delete", SERVE, purge=True)
        assert removed["status"]["state"] == "absent", removed
        left = machine.run("find", "/", "-xdev", "-name", "*pilotlight-chat*").stdout
        assert left == ""
        assert machine.run("test", "-e", "/opt/pilotlight", check=False).returncode == 1


def test_it_answers_who_has_a_key_and_nothing_more_is_to_do(
    machine: Machine, secret: tuple[dict[str, Any], str]
) -> None:
    done = machine.asks("status", SERVE, **OPTIONS)
    assert done["todo"] == []
    assert done["status"]["state"] == "ready"
    assert chat(machine, secret[1])
    assert "401" in status_code(machine, "pl-no-such")


def chat(machine: Machine, key: str) -> str:
    body = {"model": "smol", "max_tokens": 4, "messages": [{"role": "user", "content": "Hello!"}]}
    done = machine.run(
        "curl", "-fsS", "http://127.0.0.1:8080/v1/chat/completions", "-H",
        f"Authorization: Bearer {key}", "-d", json.dumps(body),
    )  # fmt: skip
    return str(json.loads(done.stdout)["choices"][0]["message"]["content"])


def status_code(machine: Machine, key: str) -> str:
    return machine.run(
        "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
        "-H", f"Authorization: Bearer {key}", "http://127.0.0.1:8080/v1/models",
    ).stdout  # fmt: skip


def test_it_runs_as_nobody_and_writes_nowhere_but_its_state(machine: Machine) -> None:
    pid = machine.run("systemctl", "show", "--property=MainPID", "--value", UNIT).stdout.strip()
    status = machine.run("cat", f"/proc/{pid}/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert all(int(uid) >= 61184 for uid in fields["Uid"].split()), "of systemd's own for the time"
    assert int(fields["CapBnd"], 16) == int(fields["CapEff"], 16) == 0
    assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
    shown = machine.run("systemctl", "show", UNIT, "--property=ProtectSystem,ProtectHome").stdout
    assert "ProtectSystem=strict" in shown
    assert "ProtectHome=yes" in shown
    assert "keys.json" in machine.run("ls", "/var/lib/private/pilotlight-chat").stdout


def test_its_size_is_its_bound(machine: Machine) -> None:
    shown = machine.run("systemctl", "show", UNIT, "--property=MemoryMax,CPUQuotaPerSecUSec").stdout
    assert f"MemoryMax={2 * 2**30}" in shown
    assert "CPUQuotaPerSecUSec=2s" in shown


def test_a_reboot_starts_it_again(machine: Machine) -> None:
    machine.reboot()
    assert machine.ready()


def test_an_update_and_the_way_back(machine: Machine) -> None:
    done = machine.asks("apply", OTHER, **OPTIONS)
    assert done["status"]["state"] == "ready", done
    assert "update file/pilotlight.yaml" in done["todo"]
    back = machine.asks("apply", SERVE, **OPTIONS)
    assert back["status"]["state"] == "ready", back
    assert not any("prepared" in said for said in back["said"]), "it was there still"


@pytest.mark.parametrize(
    ("serve", "options", "said"),
    [
        ({"models": {"smol": {"ref": MODEL, "options": {"no": 1}}}}, {}, "no option 'no'"),
        (SERVE, {"package": "pilotlight==0.0.0"}, "No matching distribution"),
    ],
    ids=["configuration", "package"],
)
def test_an_update_that_doesnt_become_ready_is_taken_back(
    machine: Machine, serve: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    done = machine.asks("apply", serve, **{**OPTIONS, **options})
    assert said in done["error"]
    assert "runs as before" in done["error"]
    assert machine.ready()
    assert machine.asks("status", SERVE, **OPTIONS)["todo"] == []


def test_a_killed_process_comes_back(machine: Machine) -> None:
    machine.run("systemctl", "kill", "--signal=SIGKILL", UNIT)
    assert machine.ready()


def test_its_log_can_be_read(machine: Machine) -> None:
    lines = machine.asks("logs", SERVE, **OPTIONS)["lines"]
    assert any("Pilotlight serves" in line for line in lines)


def test_systemd_itself_finds_it_confined(machine: Machine) -> None:
    done = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=18", UNIT)
    assert done.returncode == 0

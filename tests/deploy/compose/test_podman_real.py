"""A release on a real Podman: put up, rebooted, updated, taken back, removed."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.image.built import MODEL, REF, built_image, make_keys, need, podman
from deploy.server.port import free_port
from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.compose.target import ComposeTarget
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.command import Shell
from pilotlight.deploy.server.readiness import Probe
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.target import Status
from pilotlight.errors import DeployError

from .providers import PROVIDERS

pytestmark = pytest.mark.platforms

NAME = "compose-test"
CONTAINER = f"pilotlight-{NAME}"
DATA = f"{CONTAINER}-data"
RESTART_UNIT = Path("/lib/systemd/system/podman-restart.service")


@dataclass(frozen=True)
class Server:
    target: ComposeTarget
    release: Release[ComposeOptions]
    key: str

    def apply(self, **changed: Any) -> Status:
        release = replace(self.release, **changed)
        todo = tuple(changes(self.target.live(release), self.target.wanted(release)))
        return self.target.apply(release, todo, lambda said: None)

    def served(self, **changed: Any) -> Mapping[str, Any]:
        return {**self.release.serve, **changed}

    def says(self) -> str:
        body = {
            "model": MODEL,
            "max_tokens": 4,
            "messages": [{"role": "user", "content": "Say hello."}],
        }
        asked = urllib.request.Request(
            f"http://{self.release.options.publish}/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {self.key}"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return str(json.load(answer)["choices"][0]["message"]["content"])

    def container(self) -> dict[str, Any]:
        [found] = json.loads(podman("container", "inspect", CONTAINER).stdout)
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module", params=list(PROVIDERS))
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    need("podman")
    keys, key = make_keys()
    options = ComposeOptions(
        publish=f"127.0.0.1:{free_port()}",
        directory=tmp_path_factory.mktemp("kept"),
        program=request.param,
        ready=300.0,
        purge=True,
    )
    with PROVIDERS[request.param](tmp_path_factory.mktemp("engine")) as environ:
        release = Release(
            name=NAME,
            serve={"models": {MODEL: {"ref": REF, "options": {"context": 512}}}, "drain": "5s"},
            image=by_digest(built_image("wheel")),
            size=Size(vcpus=2, memory_bytes=2 * 2**30, disk_bytes=2**29),
            scaling=Scaling(concurrency=2, minimum=0, maximum=1, idle_s=300, request_timeout_s=300),
            keys=json.loads(keys),
            options=options,
        )
        found = Server(ComposeTarget(Shell(environ)), release, key)
        found.target.delete(release, print)
        try:
            found.apply()
            yield found
        finally:
            found.target.delete(release, print)
    left = podman("ps", "--all", "--format", "{{.Names}}").stdout.split()
    left += podman("volume", "ls", "--quiet").stdout.split()
    left += podman("network", "ls", "--quiet", "--filter", f"name={CONTAINER}").stdout.split()
    assert not [name for name in left if NAME in name]
    assert not (options.directory / NAME).exists()  # type: ignore[operator]


def image_id(image: str | None) -> str:
    """Podman's Docker API names an image by any of its names."""
    return podman("image", "inspect", str(image), "--format", "{{.Id}}").stdout.strip()


def by_digest(image: str) -> str:
    digest = podman("image", "inspect", image, "--format", "{{.Digest}}").stdout.strip()
    return f"{image.rpartition(':')[0]}@{digest}"


def test_it_answers_and_there_is_nothing_more_to_do(server: Server) -> None:
    status = server.target.status(server.release)
    assert (status.state, status.instances) == ("ready", 1)
    assert image_id(status.image) == image_id(server.release.image)
    assert server.says()
    assert server.target.live(server.release) == server.target.wanted(server.release)


def test_without_a_key_it_answers_nobody(server: Server) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        replace(server, key="pl-no-such").says()


def test_it_is_confined(server: Server) -> None:
    found = server.container()
    host = found["HostConfig"]
    assert found["Config"]["User"] == "10001:10001"
    assert host["ReadonlyRootfs"]
    assert found["EffectiveCaps"] is None
    assert "no-new-privileges" in str(host["SecurityOpt"])
    assert host["Memory"] == 2 * 2**30
    assert host["NanoCpus"] == 2 * 10**9
    assert host["PidsLimit"] == 1024
    assert found["Config"]["StopTimeout"] == 20, "the drain and what is spare"
    assert host["PortBindings"]["8080/tcp"][0]["HostIp"] == "127.0.0.1"


def test_its_own_health_check_passes(server: Server) -> None:
    assert podman("healthcheck", "run", CONTAINER).returncode == 0


def test_what_it_writes_is_on_the_volume(server: Server) -> None:
    [folder] = json.loads(podman("volume", "inspect", DATA).stdout)
    names = {path.name for path in Path(folder["Mountpoint"]).iterdir()}
    assert "keys.json" in names
    assert podman("diff", CONTAINER).stdout.split("\n") == unchanged(podman("diff", CONTAINER))


def unchanged(diff: subprocess.CompletedProcess[str]) -> list[str]:
    """Only mount points may be new."""
    return [line for line in diff.stdout.split("\n") if "/etc" in line or "/data" in line
            or "/run" in line or "/tmp" in line or "/dev" in line or not line]  # fmt: skip


def test_a_reboot_starts_it_again(server: Server) -> None:
    """All containers end, and the service that Podman runs at each boot does what its unit says."""
    if not RESTART_UNIT.exists():
        pytest.skip(f"this Podman has no {RESTART_UNIT}")
    line = next(
        line for line in RESTART_UNIT.read_text().splitlines() if line.startswith("ExecStart=")
    )
    words = line.partition("=")[2].replace("$LOGGING", "").split()
    podman("stop", CONTAINER)
    assert server.target.status(server.release).state == "failed"
    podman(*words[1:])
    server.target.cool(server.release, lambda said: None)  # returns once it hears requests
    assert server.says()


def test_an_update_replaces_it_and_the_way_back_is_kept(server: Server) -> None:
    before = server.container()["Id"]
    status = server.apply(serve=server.served(drain="6s"))
    assert status.state == "ready"
    assert server.container()["Id"] != before
    assert server.says()
    server.apply()
    assert server.target.live(server.release) == server.target.wanted(server.release)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"serve": {"models": {MODEL: {"ref": REF, "options": {"no": 1}}}}}, "no option 'no'"),
        ({"image": "localhost/no-such@sha256:" + "0" * 64}, "pulling"),
    ],
    ids=["configuration", "image"],
)
def test_an_update_that_doesnt_become_ready_is_taken_back(
    server: Server, changed: dict[str, Any], said: str
) -> None:
    before = server.target.live(server.release)
    with pytest.raises(DeployError, match=said) as caught:
        server.apply(**changed)
    assert "runs as before" in caught.value.message
    assert server.target.live(server.release) == before
    Probe(Address.parse(server.release.options.publish, "publish")).wait("/ready", 60, well)


def well() -> None:
    """Nothing stands in the way of what is waited for."""


def test_its_log_can_be_read(server: Server) -> None:
    lines = list(server.target.logs(server.release, since_s=3600, follow=False))
    assert any("Pilotlight serves" in line for line in lines)

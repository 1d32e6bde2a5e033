"""A machine that systemd boots, in a container: Debian with Python and a folder of wheels.

What is kept lies in ``${XDG_CACHE_HOME:-~/.cache}/pilotlight-systemd`` and in podman's storage, by
its content; `(cd tests && python -m deploy.systemd.machine clean)` removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.image.built import has_image, need, podman

REPOSITORY = Path(__file__).parents[3]
NAME = "localhost/pilotlight-test-systemd"
PACKAGES = "systemd,systemd-sysv,python3,python3-venv,libgomp1,ca-certificates,curl"
MODEL = "/srv/model.gguf"
DRIVER = Path(__file__).with_name("driver.py")
PYTHON = "/opt/driver/bin/python"
BOOT_S = 60

CONTAINERFILE = f"""\
FROM {NAME}/base
COPY wheels /srv/wheels
RUN printf '[global]\\nno-index = true\\nfind-links = /srv/wheels\\n' > /etc/pip.conf \\
 && python3 -m venv /opt/driver \\
 && /opt/driver/bin/python -m pip install --quiet 'pilotlight[llamacpp]'
COPY driver.py /srv/driver.py
CMD ["/sbin/init"]
"""


def cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = root / "pilotlight-systemd"
    place.mkdir(parents=True, exist_ok=True)
    return place


def image() -> str:
    """With this very source in it; skips by the name of what is missing."""
    need("podman", "runc")
    with tempfile.TemporaryDirectory(prefix="machine-") as directory:
        context = Path(directory)
        shutil.copytree(wheels(), context / "wheels")
        shutil.copy(own_wheel(context), context / "wheels")
        shutil.copy(DRIVER, context)
        (context / "Containerfile").write_text(CONTAINERFILE)
        tag = f"{NAME}:{digest(context)}"
        if not has_image(tag):
            base()
            forget_older()
            podman("build", "--quiet", "--tag", tag, directory, timeout_s=600)
    return tag


def base() -> None:
    if has_image(f"{NAME}/base"):
        return
    need("mmdebstrap")
    with tempfile.TemporaryDirectory(prefix="base-") as directory:
        archive = Path(directory) / "base.tar"
        subprocess.run(
            ("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm",
             str(archive)),
            check=True, timeout=900,
        )  # fmt: skip
        podman("import", "--quiet", str(archive), f"{NAME}/base")


def wheels() -> Path:
    """Those of the lock, for the machine's Python, which needn't be this one."""
    lock = REPOSITORY / "requirements" / "serve.lock"
    place = cache() / f"wheels-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not place.is_dir():
        partial = place.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip("download", "--no-deps", "--only-binary=:all:", "--python-version=3.11",
            "--require-hashes", "--requirement", str(lock), "--dest", str(partial))  # fmt: skip
        partial.rename(place)
    return place


def own_wheel(context: Path) -> Path:
    """Built from a copy: building leaves folders beside the source."""
    copy = context / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        copy.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, copy)
    shutil.copytree(
        REPOSITORY / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    pip("wheel", "--no-deps", "--no-index", "--find-links", str(wheels()), "--wheel-dir",
        str(context), str(copy))  # fmt: skip
    shutil.rmtree(copy)
    return next(context.glob("pilotlight-*.whl"))


def pip(*argv: str) -> None:
    command = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *argv)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        pytest.skip(f"pip {argv[0]} failed: {done.stderr.strip().splitlines()[-1]}")


def digest(context: Path) -> str:
    """Of the content: a wheel built twice differs in its dates."""
    found = hashlib.sha256()
    for path in sorted((REPOSITORY / "src").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(path.read_bytes())
    for name in sorted(path.name for path in (context / "wheels").iterdir()):
        found.update(name.encode())
    found.update((context / "driver.py").read_bytes() + CONTAINERFILE.encode() + PACKAGES.encode())
    return found.hexdigest()[:16]


def forget_older() -> None:
    names = podman("images", "--format", "{{.Repository}}:{{.Tag}}", NAME).stdout.split()
    for name in names:
        if name.startswith(f"{NAME}:"):
            podman("rmi", "--force", name, check=False)


@dataclass(frozen=True)
class Machine:
    id: str
    keys: Mapping[str, Any]

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.id, *argv, check=check, timeout_s=300)

    def asks(self, verb: str, serve: Mapping[str, Any], **options: Any) -> dict[str, Any]:
        """What the driver says of one verb."""
        asked = {"verb": verb, "serve": serve, "options": options, "keys": self.keys}
        text = json.dumps(asked)
        done = self.run("sh", "-c", 'printf %s "$1" | "$2" /srv/driver.py', "sh", text, PYTHON)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def reboot(self) -> None:
        podman("restart", "--time", "30", self.id, timeout_s=120)
        self.booted()

    def booted(self) -> None:
        """Until every unit of the boot is up or has failed; at first nobody is there to ask."""
        wait = f"for i in $(seq {BOOT_S}); do systemctl is-system-running && exit; sleep 1; done"
        self.run("sh", "-c", wait, check=False)

    def ready(self) -> bool:
        """Whether the service is, within the time that a boot and a load may take."""
        wait = f"for i in $(seq {BOOT_S}); do curl -fs 127.0.0.1:8080/ready && exit; sleep 1; done"
        return "ready" in self.run("sh", "-c", f"{wait}; exit 1", check=False).stdout


@contextmanager
def booted(model: Path, keys: Mapping[str, Any]) -> Iterator[Machine]:
    """Gone at the end. Skips where a container can't boot systemd."""
    started = podman(
        "run", "--detach", "--systemd=always", "--cap-add", "SYS_ADMIN", "--memory", "4g",
        "--volume", f"{model}:{MODEL}:ro", image(), check=False,
    )  # fmt: skip
    if started.returncode != 0:
        pytest.skip(f"podman can't boot systemd here: {started.stderr.strip()}")
    machine = Machine(started.stdout.strip(), keys)
    try:
        machine.booted()
        state = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
        if state not in ("running", "degraded"):
            pytest.skip(f"systemd doesn't come up in a container here: {state!r}")
        yield machine
    finally:
        podman("rm", "--force", "--time", "1", machine.id, check=False)


if __name__ == "__main__":
    if sys.argv[1:] == ["clean"]:
        forget_older()
        podman("rmi", "--force", f"{NAME}/base", check=False)
        shutil.rmtree(cache())
    else:
        print(image())

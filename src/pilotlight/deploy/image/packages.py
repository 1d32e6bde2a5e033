"""The Python packages of an image: fetched by their hashes, for the image's own platform.

They are unpacked here and copied in, so that a build runs no code, needs no network, and makes an
image for another architecture as easily as for this one.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from importlib import resources
from pathlib import Path

from pilotlight.catalog.platform import CpuArchitecture
from pilotlight.deploy.image import tree
from pilotlight.deploy.image.command import Hear, run
from pilotlight.deploy.image.spec import PYTHON_AT, EngineKind
from pilotlight.errors import DeployError

_LOCK = "serve.lock"
_BUILDS_ONLY = ("setuptools",)
_WHEEL = "xllamacpp"
_MACHINE: dict[CpuArchitecture, str] = {"x86_64": "x86_64", "arm64": "aarch64"}
_OLDEST_GLIBC, _NEWEST_GLIBC = 17, 36
"""Of the wheels taken: what runs on Debian 12, and so on nearly every base."""

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
_RECORDED_SCRIPT = re.compile(r"^\.\./\.\./bin/.*\n", re.MULTILINE)


def lock() -> str:
    """Everything that serving takes, pinned with hashes; requirements/serve.lock as released."""
    return (resources.files(__package__) / "data" / _LOCK).read_text()


def requirements(engine: EngineKind, more: Sequence[str] = ()) -> str:
    """What to install: the lock without what only builds, or serves an engine that isn't here."""
    unwanted = {*_BUILDS_ONLY, *(() if engine == "wheel" else (_WHEEL,))}
    kept = [entry for entry in _entries(lock()) if _name(entry) not in unwanted]
    return "".join([*kept, *(f"{text.rstrip()}\n" for text in more)])


def _entries(text: str) -> Iterator[str]:
    """A requirement with the lines of hashes that belong to it."""
    entry = ""
    for line in text.splitlines(keepends=True):
        if entry and line[:1].strip():
            yield entry
            entry = ""
        entry += line
    if entry:
        yield entry


def _name(entry: str) -> str:
    found = _NAME.match(entry)
    return found[1] if found else ""


def install_command(
    python: str, architecture: CpuArchitecture, requirements_file: str, target: str
) -> Sequence[str]:
    """pip, told which platform the packages are for, whatever it runs on."""
    machine = _MACHINE[architecture]
    minors = range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)
    tags = (*(f"manylinux_2_{minor}_{machine}" for minor in minors), f"manylinux2014_{machine}")
    return (
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-compile", "--require-hashes", "--only-binary", ":all:",
        "--implementation", "cp", "--python-version", python,
        *(part for tag in tags for part in ("--platform", tag)),
        "--target", target, "--requirement", requirements_file,
    )  # fmt: skip


def stage(
    cache: Path, python: str, architecture: CpuArchitecture, wanted: str, hear: Hear | None
) -> Path:
    """A directory of the packages, made once for the same lock, Python and architecture.

    Raises:
        DeployError: they can't be fetched, with pip's words.
    """
    key = sha256(f"{python} {architecture}\n{wanted}".encode()).hexdigest()[:16]
    place = cache / f"python-{key}"
    if place.is_dir():
        return place
    _refuse_without_pip()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        made = Path(work) / "python"
        file = Path(work) / "requirements.txt"
        file.write_text(wanted)
        run(
            install_command(python, architecture, str(file), str(made)),
            what="fetching the Python packages",
            hint="see what pip says; a requirement needs a wheel for the image's platform",
            hear=hear,
        )
        _tidy(made)
        tree.compile_python(made, PYTHON_AT)
        tree.publish(made, place)
    return place


def _refuse_without_pip() -> None:
    from importlib.util import find_spec

    if find_spec("pip") is None:
        raise DeployError(
            f"{sys.executable} has no pip, which fetches an image's packages",
            hint="install it there: python -m ensurepip, or uv pip install pip",
        )


def _tidy(root: Path) -> None:
    """Scripts begin with this machine's interpreter, and no instance runs one."""
    shutil.rmtree(root / "bin", ignore_errors=True)
    for record in root.glob("*.dist-info/RECORD"):
        record.write_text(_RECORDED_SCRIPT.sub("", record.read_text()))

"""llama.cpp's source in the context: one distribution, checked by its hash, unpacked."""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

from pilotlight.deploy.image import llamacpp, tree
from pilotlight.deploy.image.command import Hear, run

_INSIDE = "vendor/llama.cpp"
_HEAD = f".git/modules/{_INSIDE}/HEAD"
_UNUSED = ("docs", "media", "models", "tests", ".git", ".github", "benches")
"""Of llama.cpp's own folders: a third of it, and the server is made without them."""

_HINT = "see what pip says; the source comes from the package index that pip is configured with"


def stage(cache: Path, hear: Hear | None) -> Path:
    """A directory with `llama.cpp/` and the file COMMIT, made once for each version.

    Raises:
        DeployError: it can't be fetched.
    """
    place = cache / f"llamacpp-{llamacpp.version()}-{llamacpp.source_sha256()[:16]}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        made = Path(work) / "made"
        _unpack(_fetch(Path(work), hear), made)
        tree.publish(made, place)
    return place


def commit(place: Path) -> str | None:
    """llama.cpp's commit, of a source or of a compiled engine; None where nobody noted it."""
    try:
        text = (place / llamacpp.COMMIT).read_text().strip()
    except OSError:
        return None
    return text if text != "unknown" else None


def _fetch(work: Path, hear: Hear | None) -> Path:
    """pip looks into a source distribution with its own build tools: those of the lock."""
    locks = Path(str(resources.files("pilotlight.engines.environments"))) / "locks"
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    tools, fetched = work / "tools", work / "fetched"
    run(
        (
            *pip, "install", "--no-deps", "--require-hashes", "--target", str(tools),
            "--requirement", str(locks / "llamacpp-tools.lock"),
        ),
        what="fetching the build tools", hint=_HINT, hear=hear,
    )  # fmt: skip
    run(
        (
            *pip, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
            "--require-hashes", "--dest", str(fetched),
            "--requirement", str(locks / f"{llamacpp.LOCK}.lock"),
        ),
        what="fetching llama.cpp", hint=_HINT, hear=hear,
        environ={**os.environ, "PYTHONPATH": str(tools)},
    )  # fmt: skip
    return next(fetched.iterdir())


def _unpack(archive: Path, into: Path) -> None:
    into.mkdir()
    noted = "unknown"
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = member.name.partition("/")[2]
            if inside == _HEAD and (head := tar.extractfile(member)) is not None:
                noted = head.read().decode().strip()
            elif inside.startswith(f"{_INSIDE}/") and _is_needed(inside):
                member.name = "llama.cpp/" + inside.removeprefix(f"{_INSIDE}/")
                tar.extract(member, into, filter="data")
    (into / llamacpp.COMMIT).write_text(f"{noted}\n")


def _is_needed(inside: str) -> bool:
    return inside.removeprefix(f"{_INSIDE}/").partition("/")[0] not in _UNUSED

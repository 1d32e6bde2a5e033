"""A built image is run before anybody is given its name."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from typing import Any

from pilotlight.deploy.image import builder as builders
from pilotlight.deploy.image.builder import Builder, Name
from pilotlight.deploy.image.command import captured, run
from pilotlight.deploy.image.spec import ImageSpec
from pilotlight.deploy.target import Report
from pilotlight.errors import DeployError

_HINT = "see what the program says"


def proved(builder: Builder, spec: ImageSpec, id: str, report: Report) -> list[str]:
    """An image that doesn't run goes again, unless it is one that somebody had before."""
    try:
        return list(_tried(builder, spec, id, report))
    except BaseException:
        said = captured(builders.inspect(builder, id), what="looking at it", hint=_HINT)
        if not builders.is_named(builder, said):
            run(builders.remove(builder, id), what="removing the image", hint="remove it by hand")
        raise


def _tried(builder: Builder, spec: ImageSpec, id: str, report: Report) -> Iterator[str]:
    """What the image says of itself when it runs; buildah runs nothing, podman has its images."""
    found = builders.found()
    runner: Name = "docker" if builder.name == "docker" else "podman"
    if runner not in found:
        yield f"not tried: {runner} isn't on PATH"
    elif spec.architecture != own_architecture():
        yield f"not tried: this machine isn't {spec.architecture}"
    else:
        report("trying the image")
        runs = Builder(runner, found[runner])
        said = captured(
            builders.try_out(runs, id, "about"),
            what="the image was built and doesn't run",
            hint="does its base have the Python that the packages are for "
            f"({spec.python}), and glibc?",
        )
        yield from judge(spec, said)


def own_architecture() -> str:
    machine = platform.machine()
    return {"aarch64": "arm64", "AMD64": "x86_64"}.get(machine, machine)


def judge(spec: ImageSpec, said: str) -> Iterator[str]:
    """Raises DeployError when the image isn't what was put into it."""
    try:
        about = json.loads(said)
    except ValueError:
        raise DeployError(
            f"the image doesn't say what it is, but {said[:80]!r}",
            hint="does its base print something whenever a program starts?",
        ) from None
    served = about["models"]
    absent = [
        one.name for one in spec.models if one.name in served and not served[one.name]["bytes_here"]
    ]
    if absent:
        raise DeployError(
            f"the image doesn't find its own models: {', '.join(absent)}",
            hint="its configuration needs store.shared: [/models]",
        )
    if spec.engine != "none" and about["llamacpp"] is None:
        raise DeployError(
            "llama.cpp doesn't run in the image",
            hint="its base lacks a library: glibc and libstdc++ have to be there",
        )
    yield f"tried: Python {about['python']}, {_engine(about)}"


def _engine(about: dict[str, Any]) -> str:
    if about["llamacpp"] is None:
        return "no llama.cpp"
    variants, variant = about["llamacpp_variants"], about["llamacpp_variant"]
    chosen = f", {variant} of {len(variants)} builds" if variant else ""
    return f"{about['llamacpp']}{chosen}"

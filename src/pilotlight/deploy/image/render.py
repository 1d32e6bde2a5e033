"""Spec → Containerfile and the small files beside it; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pilotlight.deploy.image import llamacpp, materials
from pilotlight.deploy.image.spec import (
    APP_AT,
    CONFIGURATION_AT,
    ENGINE_AT,
    FILES_AT,
    LIBRARIES_AT,
    MATERIALS_AT,
    MODELS_AT,
    PYTHON_AT,
    USER,
    VOLUMES,
    ImageSpec,
)
from pilotlight.deploy.resources import Files

CONTAINERFILE = "Containerfile"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PURPOSES = {
    "data": (
        "/data",
        "For a volume that outlives an instance, which takes its owner from here.",
    ),
    "cache": ("/cache", "The same for a store of models that instances share."),
    "engine": (ENGINE_AT, "llama.cpp: changes with its version."),
    "libraries": (LIBRARIES_AT, "The one library of the system's that the engine needs."),
    "python": (PYTHON_AT, "Python packages, by their hashes: change with the lock."),
    "models": (MODELS_AT, "Weights, as a store that is only read; checked by digest."),
    "files": (FILES_AT, "Files of your own; a ref such as python:mine.py:Class starts here."),
    "measuring": (APP_AT, "Pilotlight's planner and benchmarks: an instance runs none of them."),
    "tools": (APP_AT, "Its commands: for whoever looks into a container."),
    "keeping": (APP_AT, "Its model store, meter and catalog."),
    "engines": (APP_AT, "What it knows of engines."),
    "serving": (APP_AT, "Its gateway and router: what changes from one release to the next."),
    "materials": (MATERIALS_AT, "The bill of materials (CycloneDX)."),
    "configuration": (CONFIGURATION_AT, "What is served: the last and smallest layer."),
}


def render(spec: ImageSpec) -> Files:
    """Text of the context: what is large lies beside it, put there by `make.assemble`."""
    return {
        CONTAINERFILE: "\n".join(_containerfile(spec)) + "\n",
        "configuration/pilotlight.yaml": spec.configuration,
        "materials/sbom.cdx.json": json.dumps(materials.bill(spec), indent=1) + "\n",
        "serving/bin/pilotlight-instance": _program("pilotlight.instance"),
        "tools/bin/pilotlight": _program("pilotlight.cli"),
        # What no layer is made of stays out of what is sent to the builder.
        ".containerignore": "README.md\n",
        "README.md": _readme(spec),
    }


def _program(module: str) -> str:
    return f"#!/usr/bin/env python3\nfrom {module} import main\n\nmain()\n"


def _containerfile(spec: ImageSpec) -> Iterator[str]:
    yield f"# Pilotlight {spec.version} for {spec.architecture}: one image for every platform."
    yield "#"
    yield "# Nothing is fetched in this build but what a stage says. The layers go from what rarely"
    yield "# changes to what often does, so that a new release is a small push and a small pull."
    yield ""
    yield from _base(spec)
    if spec.compiles:
        yield from _compile_stage(spec)
    if spec.engine == "wheel":
        yield from _libraries_stage()
    yield "FROM ${BASE}"
    yield ""
    for folder in spec.layers:
        yield from _layer(spec, folder)
    yield from _environment(spec)
    yield from _labels(spec)
    yield from _process()


def _base(spec: ImageSpec) -> Iterator[str]:
    if "@sha256:" not in spec.base:
        yield "# A tag is whatever its registry says today. Give BASE as name@sha256:… to have the"
        yield "# same bytes next year; `pilotlight deploy image` prints the digest that it used."
    yield f"ARG BASE={spec.base}"
    yield ""


def _compile_stage(spec: ImageSpec) -> Iterator[str]:
    yield "# A stage of its own: the compiler stays out of the image, and an unchanged llama.cpp"
    yield "# comes from the builder's cache. It is compiled on the base that it will run on, so"
    yield "# that it needs no newer C library than there is."
    yield "FROM ${BASE} AS llamacpp"
    yield f"RUN {llamacpp.TOOLS}"
    yield "COPY source/ /source/"
    yield "RUN " + llamacpp.script(
        spec.architecture, "/source", "/build", ENGINE_AT, spec.engine_commit
    )
    yield ""


def _libraries_stage() -> Iterator[str]:
    yield "# xllamacpp needs OpenMP's library, which slim bases lack. Only the file goes on: what a"
    yield "# package manager leaves behind differs with each build."
    yield "FROM ${BASE} AS libraries"
    yield f"RUN {llamacpp.OPENMP} \\"
    yield f"    && mkdir -p {LIBRARIES_AT} && cp -L /usr/lib/*/libgomp.so.1 {LIBRARIES_AT}/"
    yield ""


def _layer(spec: ImageSpec, folder: str) -> Iterator[str]:
    place, purpose = _PURPOSES[folder]
    yield f"# {purpose}"
    stage = _made_in(spec, folder)
    if folder in VOLUMES:
        yield f"COPY --chown={USER}:{USER} {folder}/ {place}/"
    elif stage is not None:
        yield f"COPY --from={stage} {place}/ {place}/"
    else:
        yield f"COPY {folder}/ {place}/"
    yield ""


def _made_in(spec: ImageSpec, folder: str) -> str | None:
    """The stage of the build that makes it; None for what lies in the context."""
    if folder == "engine" and spec.compiles:
        return "llamacpp"
    return "libraries" if folder == "libraries" else None


def _environment(spec: ImageSpec) -> Iterator[str]:
    yield "# The root is read-only on every platform; what has to be written goes below /tmp."
    yield f"ENV PATH={APP_AT}/bin:{ENGINE_AT}:{_SYSTEM_PATH} \\"
    yield f"    PYTHONPATH={APP_AT}:{PYTHON_AT}:{FILES_AT} \\"
    if spec.engine == "wheel":
        yield f"    LD_LIBRARY_PATH={LIBRARIES_AT} \\"
    yield "    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \\"
    yield "    HOME=/tmp XDG_DATA_HOME=/tmp XDG_CACHE_HOME=/tmp/cache"
    yield ""


def _labels(spec: ImageSpec) -> Iterator[str]:
    rows = [f"{name}={_quoted(value)}" for name, value in labels(spec).items()]
    yield "LABEL " + " \\\n      ".join(rows)
    yield ""


def labels(spec: ImageSpec) -> dict[str, str]:
    """OCI's own words where there are any."""
    base, _, digest = spec.base.partition("@")
    found = {
        "org.opencontainers.image.title": "Pilotlight",
        "org.opencontainers.image.version": spec.version,
        "org.opencontainers.image.revision": spec.revision,
        "org.opencontainers.image.source": spec.source,
        "org.opencontainers.image.licenses": materials.LICENCE,
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digest,
        "pilotlight.engine": spec.engine,
        "pilotlight.llamacpp": spec.engine_version,
        "pilotlight.models": " ".join(f"{one.name}@{one.digest}" for one in spec.models),
        "pilotlight.sbom": f"{MATERIALS_AT}/sbom.cdx.json",
    }
    return {name: value for name, value in found.items() if value}


def _quoted(value: str) -> str:
    """As a builder reads it: it replaces variables inside quotes, too."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _process() -> Iterator[str]:
    yield f"USER {USER}:{USER}"
    yield f"WORKDIR {FILES_AT}"
    yield "# Where the platform says nothing in PORT."
    yield "EXPOSE 8080"
    yield "# No HEALTHCHECK: platforms ask GET /health and GET /ready themselves."
    yield "# Lambda wants an absolute path."
    yield f'ENTRYPOINT ["{APP_AT}/bin/pilotlight-instance"]'


def _readme(spec: ImageSpec) -> str:
    return "\n".join([
        f"# The image {spec.tag}",
        "",
        "Everything that it is made of lies here; without Pilotlight, it is built by",
        "",
        f"    podman build --timestamp {spec.epoch_s} --tag {spec.tag} --file {CONTAINERFILE} .",
        "",
        "and runs as on any platform, without a right and without a writable root:",
        "",
        "    podman run --rm --read-only --cap-drop all --security-opt no-new-privileges \\",
        "      --memory 6g --cpus 2 --publish 127.0.0.1:8080:8080 \\",
        f"      --volume ./keys.json:{CONFIGURATION_AT}/keys.json:ro {spec.tag}",
        "",
        "keys.json holds hashes of API keys: `pilotlight keys create` writes it.",
        "",
    ])  # fmt: skip

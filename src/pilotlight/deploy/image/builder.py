"""Who builds: buildah, podman or docker, and the command lines for each."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pilotlight.deploy.image.spec import ImageSpec
from pilotlight.errors import ConfigError, DeployError

Name = Literal["buildah", "podman", "docker"]
Argv = Sequence[str]

NAMES: tuple[Name, ...] = ("buildah", "podman", "docker")
"""In order of preference: the first needs nothing running, the last a daemon."""

_PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
_PUSHED = re.compile(r"digest: (sha256:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Builder:
    name: Name
    program: str


def found() -> dict[str, str]:
    """Those on PATH."""
    paths = {name: shutil.which(name) for name in NAMES}
    return {name: path for name, path in paths.items() if path is not None}


def choose(wanted: str, found: Mapping[str, str]) -> Builder:
    """`found`: path by name of those on PATH. Raises ConfigError when the wanted one isn't."""
    names = NAMES if wanted == "auto" else (wanted,)
    for name in NAMES:
        if name in names and name in found:
            return Builder(name, found[name])
    what = " or ".join(names)
    raise ConfigError(
        f"an image is built by {what}, and there is none on PATH",
        hint="install one (Debian, Ubuntu: apt install buildah), or render the files with "
        "--out and build them where there is one",
    )


def build(builder: Builder, spec: ImageSpec, context: str, id_file: str) -> Argv:
    """The image's id goes into `id_file`; it has no name until it was tried."""
    if builder.name == "docker":
        reproducible: tuple[str, ...] = ("--build-arg", f"SOURCE_DATE_EPOCH={spec.epoch_s}")
    else:
        # Directories that a COPY makes have the time of the build otherwise.
        reproducible = ("--layers", "--timestamp", str(spec.epoch_s), "--format", "oci")
    return (
        builder.program, "build", *reproducible,
        "--platform", _PLATFORMS[spec.architecture],
        "--build-arg", f"BASE={spec.base}",
        "--iidfile", id_file,
        "--file", f"{context}/Containerfile", context,
    )  # fmt: skip


def environ(builder: Builder) -> Mapping[str, str] | None:
    """Of a build; None is this process's own.

    buildx adds an attestation, and an index around it and the image. Lambda takes no index
    (https://github.com/aws/aws-lambda-roadmap/issues/82).
    """
    if builder.name != "docker":
        return None
    return {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def tag(builder: Builder, image: str, name: str) -> Argv:
    return (builder.program, "tag", image, name)


def remove(builder: Builder, image: str) -> Argv:
    return (builder.program, "rmi", image)


def inspect(builder: Builder, image: str) -> Argv:
    if builder.name == "buildah":
        return (builder.program, "inspect", "--type", "image", image)
    return (builder.program, "image", "inspect", image)


def inspected_layers(builder: Builder, said: str) -> tuple[str, ...]:
    """Digests of the unpacked layers, the lowest first."""
    document = _document(said)
    if builder.name == "buildah":
        return tuple(document["OCIv1"]["rootfs"]["diff_ids"])
    return tuple(document["RootFS"]["Layers"])


def is_named(builder: Builder, said: str) -> bool:
    """Whether somebody has given it a name, earlier or elsewhere."""
    document = _document(said)
    if builder.name == "buildah":
        id = str(document.get("FromImageID") or "-")
        return bool(document.get("FromImage")) and id not in document["FromImage"]
    return bool(document.get("RepoTags"))


def inspected_digest(builder: Builder, said: str) -> str | None:
    """Of the image as its registry has it; None where it came from none."""
    document = _document(said)
    if builder.name == "buildah":
        return document.get("FromImageDigest") or None
    by_registry = [str(one).partition("@")[2] for one in document.get("RepoDigests") or ()]
    return document.get("Digest") or next(iter(by_registry), None)


def _document(said: str) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        raise DeployError(
            f"the builder's description of an image is no JSON: {said[:80]!r}",
            hint="try another builder",
        ) from None
    document: dict[str, Any] = found[0] if isinstance(found, list) else found
    return document


def push(
    builder: Builder,
    image: str,
    reference: str,
    digest_file: str,
    *,
    plain_http: bool,
    compression: str,
) -> Sequence[Argv]:
    """Commands, one after another; docker pushes what has the name of the place."""
    if builder.name == "docker":
        return (
            (builder.program, "tag", image, reference),
            (builder.program, "push", reference),
        )
    tls = ("--tls-verify=false",) if plain_http else ()
    return ((
        builder.program, "push", *tls, "--compression-format", compression,
        "--digestfile", digest_file, image, f"docker://{reference}",
    ),)  # fmt: skip


def pushed_digest(said: str) -> str | None:
    """From what docker prints."""
    found = _PUSHED.search(said)
    return found[1] if found else None


def manifest(skopeo: str, reference: str, *, plain_http: bool) -> Argv:
    tls = ("--tls-verify=false",) if plain_http else ()
    return (skopeo, "inspect", "--raw", *tls, f"docker://{reference}")


def sent_bytes(manifest_text: str) -> tuple[int, ...]:
    """Of each layer as it travels, the lowest first; none where it is an index of manifests."""
    return tuple(int(layer["size"]) for layer in json.loads(manifest_text).get("layers", ()))


def try_out(runner: Builder, image: str, *words: str) -> Argv:
    """Run it as a platform would, with nothing that it could lean on, and no network."""
    return (
        runner.program, "run", "--rm", "--network", "none", "--read-only",
        "--tmpfs", "/tmp:rw,mode=1777", "--cap-drop", "all",
        "--security-opt", "no-new-privileges", image, *words,
    )  # fmt: skip

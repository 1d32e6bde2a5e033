"""What can be chosen about an image: the `build` section of `deploy`, and flags."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pilotlight.config import setting
from pilotlight.errors import ConfigError


def default_base() -> str:
    """Its Python has to be this one's minor version: the packages are taken from here."""
    return f"docker.io/library/python:{sys.version_info[0]}.{sys.version_info[1]}-slim-bookworm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOptions:
    """What `pilotlight deploy image` has a flag for, each."""

    base: str | None = setting(
        None,
        help="image to build on, with this Python and glibc 2.28 or newer; a tag moves, so give "
        "name@sha256:…, which is printed after each build; else python:3.x-slim-bookworm",
        example="docker.io/library/python@sha256:" + "0123456789abcdef" * 4,
    )
    engine: str = setting(
        "native",
        help="native (llama.cpp compiled for every processor, the best chosen at start), wheel "
        "(xllamacpp, nothing to compile) or none",
    )
    engine_directory: Path | None = setting(
        None,
        help="llama-server and its libraries, compiled already; else compiled in the build",
        example="build/llamacpp",
    )
    builder: str = setting("auto", help="buildah, podman or docker; auto is the first there")
    architecture: str = setting("x86_64", help="x86_64 or arm64")
    tag: str | None = setting(None, help="what to call it; else localhost/pilotlight/NAME:latest")
    files: tuple[str, ...] = setting(
        (), help="files and directories of your own, SOURCE or SOURCE:NAME; they lie in /app"
    )
    requirements: tuple[str, ...] = setting(
        (), help="further pip requirement files with hashes, such as your own classes need"
    )
    push: str | None = setting(
        None,
        help="registry reference to push to; targets then use it by digest",
        example="registry.example.com/chat:1",
    )
    plain_http: bool = setting(False, help="the registry has no TLS")
    lazy: str = setting(
        "none", help="index for platforms that pull lazily, made after the push: soci or estargz"
    )
    compression: str = setting("gzip", help="of pushed layers: gzip, or zstd where pulled by new")
    revision: str | None = setting(
        None, help="of the source, for the label; else git's where this runs from a clone"
    )
    source: str | None = setting(
        None,
        help="address of the source, for the label",
        example="https://git.example.com/us/chat",
    )


CHOICES = {
    "engine": ("native", "wheel", "none"),
    "builder": ("auto", "buildah", "podman", "docker"),
    "architecture": ("x86_64", "arm64"),
    "lazy": ("none", "soci", "estargz"),
    "compression": ("gzip", "zstd"),
}


def check(options: ImageOptions) -> None:
    """Raises ConfigError for a word that is none of its setting's, or settings at odds."""
    for name, words in CHOICES.items():
        value = getattr(options, name)
        if value not in words:
            raise ConfigError(f"build.{name} is {value!r}", hint=f"one of: {', '.join(words)}")
    if options.engine_directory is not None and options.engine != "native":
        raise ConfigError(
            f"build.engine_directory is set and build.engine is {options.engine!r}",
            hint="set build.engine to native, or leave the directory out",
        )
    if options.lazy != "none" and options.push is None:
        raise ConfigError(
            f"build.lazy is {options.lazy!r}, and an index lies beside the image in a registry",
            hint="say where with build.push",
        )

"""compose.yaml, written for a reader: every line that isn't obvious says why it is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.compose.readme import readme
from pilotlight.deploy.instance_file import (
    CACHE_DIR,
    CONFIG_FILE,
    KEYS_FILE,
    PORT,
    USER,
    instance_file,
)
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Files
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.endings import SPARE_S, drain_s
from pilotlight.deploy.server.releases import version_of

DATA = "/data"
"""Where the instance keeps what outlives it."""

NAMES = ("compose.yaml", ".env", "pilotlight.yaml", "keys.json")
"""What a server may have of a release."""

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
_TMP_BYTES = 256 * 2**20
_START_S = 120


def container_of(name: str) -> str:
    return f"pilotlight-{name}"


def volumes_of(release: Release[ComposeOptions]) -> tuple[str, ...]:
    """By the names that the engine lists them under."""
    kinds = ("data", "models") if release.models == "fetch" else ("data",)
    return tuple(f"pilotlight-{release.name}-{kind}" for kind in kinds)


def files_of(release: Release[ComposeOptions]) -> Files:
    return {"README.md": readme(release, volumes_of(release)), **run_files(release)}


def version(release: Release[ComposeOptions]) -> str:
    """Of all that the container is made from."""
    return version_of(_files(release, ""))


def run_files(release: Release[ComposeOptions]) -> Files:
    """What the server needs, without what is only for people."""
    return _files(release, version(release))


def _files(release: Release[ComposeOptions], label: str) -> Files:
    files = {
        "compose.yaml": compose_file(release, label),
        ".env": _ENV.format(image=release.image or ""),
        "pilotlight.yaml": _instance_file(release),
    }
    if release.keys:
        files["keys.json"] = json.dumps(release.keys, indent=2, ensure_ascii=False) + "\n"
    return files


def _instance_file(release: Release[ComposeOptions]) -> str:
    port = PORT if release.keys else address_of(release).port
    return instance_file(release, drain_s=drain_s(release), port=port)


_ENV = """\
# The image that compose.yaml runs. By digest, what runs tomorrow is what ran today.
PILOTLIGHT_IMAGE={image}
"""


def address_of(release: Release[ComposeOptions]) -> Address:
    return Address.parse(release.options.publish, "compose.publish")


def compose_file(release: Release[ComposeOptions], label: str) -> str:
    sections = [
        _head(release),
        ["services:", "  gateway:", *_indented(_service(release, label), 4)],
        _networks(release),
        _volumes(release),
        _secrets(release),
    ]
    return "\n\n".join("\n".join(section) for section in map(list, sections) if section) + "\n"


def _indented(lines: Iterable[str], by: int) -> Iterator[str]:
    return (" " * by + line for line in lines)


def _head(release: Release[ComposeOptions]) -> list[str]:
    return [
        f"# {release.name} on one server; README.md says how to start, update and remove it.",
        "# Written by `pilotlight deploy`: change what it is made from, not this file.",
        f"name: {release.name}",
    ]


def _service(release: Release[ComposeOptions], label: str) -> Iterator[str]:
    yield from _identity(release, label)
    yield from _confinement()
    yield from _resources(release)
    yield from _network(release)
    yield from _storage(release)
    yield from _health(release)


def _identity(release: Release[ComposeOptions], label: str) -> Iterator[str]:
    yield f"container_name: {container_of(release.name)}"
    yield "image: ${PILOTLIGHT_IMAGE:?the image by digest, as in .env}"
    yield f"platform: {PLATFORMS[release.size.architecture]}"
    yield "labels:"
    yield f"  pilotlight.name: {release.name}"
    yield "  # Of all files here: another configuration is another container."
    yield f'  pilotlight.release: "{label}"'
    yield "# Not `unless-stopped`: after a reboot Podman starts what says `always`, and only that."
    yield "restart: always"
    yield "# Requests in flight have `drain` to finish; then it is killed."
    yield f"stop_grace_period: {drain_s(release) + SPARE_S:g}s"
    yield "logging:"
    yield "  driver: json-file"
    yield "  options:"
    yield "    max-size: 50m  # else a log grows until the disk is full"


def _confinement() -> Iterator[str]:
    yield "# As little as it needs: no root, no capability, no file of its own but below."
    yield f'user: "{USER}:{USER}"'
    yield "read_only: true"
    yield "cap_drop: [ALL]"
    yield 'security_opt: ["no-new-privileges:true"]'
    yield "pids_limit: 1024"
    yield "tmpfs:"
    yield f"  - /tmp:size={_TMP_BYTES},mode=1777  # sockets of the engines"


def _resources(release: Release[ComposeOptions]) -> Iterator[str]:
    size = release.size
    yield f'cpus: "{size.vcpus:g}"'
    yield f"mem_limit: {size.memory_bytes}"
    yield "# The same again is none of it swap: a model that swaps answers too late to be of use."
    yield f"memswap_limit: {size.memory_bytes}"
    if size.gpus:
        yield "deploy:"
        yield "  resources:"
        yield "    reservations:"
        yield f"      devices:  # {size.gpu}; the host has its driver and the container toolkit"
        yield f"        - {{driver: nvidia, count: {size.gpus}, capabilities: [gpu]}}"


def _network(release: Release[ComposeOptions]) -> Iterator[str]:
    address = address_of(release)
    if release.keys:
        yield "ports:"
        yield f'  - "{address}:{PORT}"'
        return
    yield "# Without an API key it answers this machine alone, at an address that only a process"
    yield "# of the host's own network can have."
    yield "network_mode: host"


def _storage(release: Release[ComposeOptions]) -> Iterator[str]:
    yield "environment:"
    yield from _indented(_environment(release), 2)
    if release.options.env_file:
        yield "env_file:"
        yield f"  - {_quoted(str(release.options.env_file))}"
    if release.keys:
        yield "secrets:"
        yield "  - source: keys"
        yield f"    target: {KEYS_FILE}"
    yield "volumes:"
    yield f"  - ./pilotlight.yaml:{CONFIG_FILE}:ro"
    yield f"  - data:{DATA}"
    if release.models == "fetch":
        yield f"  - models:{CACHE_DIR}"
    elif release.models == "mount":
        yield f"  - {_quoted(f'{release.options.cache}:{CACHE_DIR}:ro')}"


def _quoted(text: str) -> str:
    """A YAML text in which compose replaces no variable."""
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")


def _environment(release: Release[ComposeOptions]) -> Iterator[str]:
    address = address_of(release)
    if not release.keys:
        yield f'PILOTLIGHT_HOST: "{address.host}"'
    yield f'PORT: "{PORT if release.keys else address.port}"'
    yield f"PILOTLIGHT_DATA_DIR: {DATA}  # on the volume: the ledger outlives the container"
    if release.models == "fetch":
        yield f"PILOTLIGHT_STORE_DIRECTORY: {CACHE_DIR}  # fetched once, not at each start"


def _health(release: Release[ComposeOptions]) -> Iterator[str]:
    yield "healthcheck:"
    yield "  # Ready is a model in memory that has answered; being alive is not enough."
    yield "  test: [CMD, pilotlight-instance, ready]"
    yield "  interval: 10s"
    yield "  timeout: 5s"
    yield "  retries: 3"
    yield f"  start_period: {max(_START_S, release.options.ready):g}s"


def _networks(release: Release[ComposeOptions]) -> Iterator[str]:
    if release.keys:
        yield "networks:"
        yield "  default:"
        yield f"    name: {container_of(release.name)}"


def _volumes(release: Release[ComposeOptions]) -> Iterator[str]:
    yield "# Made beforehand: a new volume is root's, and the instance isn't root. See README.md."
    yield "volumes:"
    for volume in volumes_of(release):
        yield f"  {volume.rpartition('-')[2]}:"
        yield f"    name: {volume}"
        yield "    external: true"


def _secrets(release: Release[ComposeOptions]) -> Iterator[str]:
    if release.keys:
        yield "secrets:"
        yield "  keys:"
        yield "    file: ./keys.json  # hashes: whoever reads it can't ask with it"

"""A container engine in memory: what Docker and Podman answer to the few words that are used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pilotlight.deploy.server.command import Done
from pilotlight.errors import ConfigError

NONE = Done(1, "", "no such object")
FINE = Done(0, "", "")


@dataclass
class FakeEngine:
    """`deploy.server.command.Commands` over the containers and volumes it holds."""

    programs: tuple[str, ...] = ("docker", "systemctl")
    images: set[str] = field(default_factory=set)
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: set[str] = field(default_factory=set)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    dies: bool = False
    """Whether a container ends again and again."""

    def run(self, argv: Sequence[str], *, timeout_s: float = 120.0) -> Done:
        self.asked.append(tuple(argv))
        if argv[0] not in self.programs:
            raise ConfigError(f"there is no program {argv[0]!r} here")
        if argv[0] == "systemctl":
            return FINE
        if "up" in argv:
            return self._up(Path(argv[argv.index("--file") + 1]))
        words = [word for word in argv[1:] if not word.startswith("-")]
        return self._answer(words)

    def lines(self, argv: Sequence[str]) -> Iterator[str]:
        self.asked.append(tuple(argv))
        return iter(["a line"])

    def _answer(self, words: list[str]) -> Done:
        name = words[-1]
        match words[0], words[1:2]:
            case "container", ["inspect"]:
                there = self.containers.get(name)
                return Done(0, json.dumps([there]), "") if there else NONE
            case "image", ["inspect"]:
                return FINE if name in self.images else NONE
            case "volume", ["inspect"]:
                return FINE if name in self.volumes else NONE
            case "run", _:
                return FINE if "chown" in words else NONE
            case "volume", ["create"]:
                self.volumes.add(name)
            case "volume", ["rm"]:
                self.volumes.remove(name)
            case "rm", _:
                del self.containers[name]
            case "network", ["inspect"]:
                return NONE
            case "pull", _:
                return Done(125, "", f"manifest unknown: {name}")
        return FINE

    def _up(self, file: Path) -> Done:
        service = yaml.safe_load(file.read_text())["services"]["gateway"]
        image = (file.parent / ".env").read_text().strip().rpartition("PILOTLIGHT_IMAGE=")[2]
        self.containers[service["container_name"]] = {
            "RestartCount": 5 if self.dies else 0,
            "Config": {"Labels": service["labels"], "Image": image},
            "State": {"Running": not self.dies, "Status": "running", "ExitCode": 2 * self.dies,
                      "StartedAt": "2026-11-20T18:45:07Z"},
        }  # fmt: skip
        return FINE

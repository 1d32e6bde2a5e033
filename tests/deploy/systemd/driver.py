"""Runs in the machine under test: one verb of the target for a release that comes as JSON.

python driver.py < {"verb": "apply", "serve": {…}, "options": {…}, "keys": {…}}
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from pilotlight.config import parse_tree
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.deploy.size import Scaling, Size
from pilotlight.deploy.systemd.target import SystemdTarget
from pilotlight.errors import PilotlightError


def main(asked: dict[str, Any]) -> dict[str, Any]:
    system, said = SystemdTarget(), list[str]()
    options = parse_tree(system.options, asked["options"], "test", "test", system.options())
    release: Release[Any] = Release(
        name="chat",
        serve=asked["serve"],
        image=None,
        size=Size(vcpus=2, memory_bytes=2 * 2**30, disk_bytes=2**29),
        scaling=Scaling(concurrency=2, minimum=0, maximum=1, idle_s=300, request_timeout_s=300),
        models="fetch",
        keys=asked["keys"],
        options=options,
    )
    done: dict[str, Any] = {"said": said}
    try:
        todo = tuple(changes(system.live(release), system.wanted(release)))
        done["todo"] = [f"{change.action} {change.name}" for change in todo]
        if asked["verb"] == "apply":
            system.apply(release, todo, said.append)
        elif asked["verb"] == "logs":
            done["lines"] = list(system.logs(release, since_s=3600, follow=False))
        elif asked["verb"] != "status":
            getattr(system, asked["verb"])(release, said.append)
        done["status"] = dataclasses.asdict(system.status(release))
    except PilotlightError as error:
        done |= {"error": error.message, "hint": error.hint}
    return done


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))

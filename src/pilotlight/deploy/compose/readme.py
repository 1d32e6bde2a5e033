"""How to put the rendered folder up by hand, for whoever has it and nothing else of ours."""

from __future__ import annotations

from collections.abc import Sequence

from pilotlight.deploy.compose.container import OWNER, OWNING
from pilotlight.deploy.compose.options import ComposeOptions
from pilotlight.deploy.release import Release
from pilotlight.deploy.server.address import Address
from pilotlight.quantities import about_bytes

_README = """\
# {name} on one server

Run these in this folder. Where it says `docker compose`, `podman-compose` does as well.

Once, make its volumes and give them to the instance's user, who isn't root:

    for volume in {names}; do
      docker volume create $volume
      docker {run} \\
        {chown} \\
        --volume $volume:/volume {image} \\
        {owner} /volume
    done

Start, and wait until it is ready:

    docker compose up --detach
    until curl --fail --silent {url}/ready; do sleep 1; done

Ask:

    curl {url}/v1/chat/completions{key} \\
      -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Look: `docker compose ps`, `docker compose logs --follow`.

Update: put the new image's digest into `.env`, then `docker compose up --detach`. The way back is
the old digest. `pilotlight deploy apply compose` does both: it waits until the new one is ready,
and puts the old one back if that never comes.

Reboot: Docker starts it again by itself once its service is enabled
(`systemctl enable docker`). For Podman: `systemctl enable podman-restart`.

Room: {memory} of memory, {cpus:g} processors, {disk} on the disk of the volumes.

Remove it. The volumes stay until they are removed, too; in them is {kept}:

    docker compose down
    docker volume rm {names}
"""


def readme(release: Release[ComposeOptions], volumes: Sequence[str]) -> str:
    address = Address.parse(release.options.publish, "compose.publish")
    fetched = " and what models were fetched" if release.models == "fetch" else ""
    return _README.format(
        name=release.name,
        url=address.url,
        key=' \\\n      -H "Authorization: Bearer $PILOTLIGHT_API_KEY"' if release.keys else "",
        model=next(iter(release.serve.get("models") or {}), "MODEL"),
        memory=about_bytes(release.size.memory_bytes),
        cpus=release.size.vcpus,
        disk=about_bytes(release.size.disk_bytes),
        run=" ".join(OWNING[:-4]),
        chown=" ".join(OWNING[-4:]),
        image=release.image,
        owner=OWNER,
        kept=f"the ledger{fetched}",
        names=" ".join(volumes),
    )

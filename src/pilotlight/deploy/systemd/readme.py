"""How to put the rendered folder up by hand, for whoever has it and nothing else of ours."""

from __future__ import annotations

from pilotlight.deploy.release import Release
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.systemd.options import SystemdOptions
from pilotlight.quantities import about_bytes

_README = """\
# {name} as a service of systemd

Run these as root in this folder. `pilotlight deploy apply systemd` does the same, waits until the
service is ready, and goes back by itself if that never comes.

The server needs Python 3.11 or newer with venv, and llama.cpp an OpenMP library. On Debian:

    apt-get install --yes python3-venv libgomp1 curl

Install a release beside the others, and have `current` name it:

    release=$(date +%Y%m%d-%H%M%S)
    install -d {home}/releases/$release
    install -m 0644 {files} \
      {home}/releases/$release/
    {python} -m venv {home}/releases/$release/venv
    {home}/releases/$release/venv/bin/python -m pip install -r requirements.txt
    ln -sfn releases/$release {home}/current

Start it, now and at every boot:

    install -m 0644 {unit} /etc/systemd/system/
    systemctl daemon-reload
    systemctl enable {unit}
    systemctl restart {unit}
    until curl --fail --silent {url}/ready; do sleep 1; done

Ask:

    curl {url}/v1/chat/completions{key} \\
      -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello!"}}]}}'

Look, read its log, and see how far it is confined:

    systemctl status {unit}
    journalctl --unit {unit} --follow
    systemd-analyze security {unit}

The way back is the other release:

    ln -sfn releases/RELEASE {home}/current
    systemctl restart {unit}

Room: {memory} of memory, {cpus:g} processors, {disk} below /var/lib.

Remove it. Fetched models and the ledger stay in /var/lib/pilotlight-{name} until that goes, too:

    systemctl disable --now {unit}
    rm -r /etc/systemd/system/{unit} {home}
"""


def readme(release: Release[SystemdOptions], unit: str, home: str) -> str:
    address = Address.parse(release.options.listen, "systemd.listen")
    keys = " keys.json" if release.keys else ""
    return _README.format(
        name=release.name,
        unit=unit,
        home=home,
        files=f"pilotlight.yaml requirements.txt{keys}",
        python=release.options.python,
        url=address.url,
        key=' \\\n      -H "Authorization: Bearer $PILOTLIGHT_API_KEY"' if release.keys else "",
        model=next(iter(release.serve.get("models") or {}), "MODEL"),
        memory=about_bytes(release.size.memory_bytes),
        cpus=release.size.vcpus,
        disk=about_bytes(release.size.disk_bytes),
    )

"""The unit and the files beside it, written for a reader: why each line is there."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import yaml

from pilotlight.deploy.instance_file import instance_tree
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import Files
from pilotlight.deploy.server.address import Address
from pilotlight.deploy.server.endings import SPARE_S, drain_s
from pilotlight.deploy.server.releases import version_of
from pilotlight.deploy.systemd.options import SystemdOptions

HOME = "/opt/pilotlight"
"""Releases by name, as `deploy.server.releases` lays them out."""

NAMES = ("pilotlight.yaml", "requirements.txt", "keys.json")
"""What a release may have besides its unit."""


def unit_of(name: str) -> str:
    return f"pilotlight-{name}.service"


def home_of(name: str) -> str:
    return f"{HOME}/{name}"


def run_files(release: Release[SystemdOptions]) -> Files:
    """What the server needs, without what is only for people."""
    files = {
        unit_of(release.name): unit(release),
        "pilotlight.yaml": _configuration(release),
        "requirements.txt": f"{release.options.package}\n",
    }
    if release.keys:
        files["keys.json"] = json.dumps(release.keys, indent=2, ensure_ascii=False) + "\n"
    return files


def version(release: Release[SystemdOptions]) -> str:
    return version_of(run_files(release))


_OF_THIS_MACHINE = ("memory", "catalog", "ledger", "tls_certificate", "tls_key", "allowed_hosts")
_HEAD = """\
# What {name} runs. Written by `pilotlight deploy`: change what it is made
# from, not this file.
"""


def _configuration(release: Release[SystemdOptions]) -> str:
    """The user's own as far as it can be: it runs on a machine like the one it was written on."""
    address = address_of(release)
    tree = instance_tree(release, drain_s=drain_s(release), port=address.port)
    tree.pop("data_dir")  # the unit's to say
    tree["host"] = address.host
    tree.pop("ledger")
    serve = release.serve
    tree.update({key: serve[key] for key in _OF_THIS_MACHINE if key in serve})
    if "engines" in serve:
        tree["engines"] = serve["engines"]
    if release.models == "mount":
        tree["store"] = {**tree["store"], "shared": [str(release.options.cache)]}
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)
    return _HEAD.format(name=unit_of(release.name)) + text


def address_of(release: Release[SystemdOptions]) -> Address:
    return Address.parse(release.options.listen, "systemd.listen")


def unit(release: Release[SystemdOptions]) -> str:
    sections = [_unit(release), _service(release), _confinement(release), _install()]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def _unit(release: Release[SystemdOptions]) -> Iterator[str]:
    yield "# Written by `pilotlight deploy`: change what it is made from, not this file."
    yield "[Unit]"
    yield f"Description=Pilotlight, {release.name}"
    yield "Documentation=man:systemd.exec(5)"
    yield "# Models may have to be fetched at the first start."
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    yield "# A model that can't load must not keep the machine busy for ever."
    yield "StartLimitIntervalSec=10min"
    yield "StartLimitBurst=5"


def _service(release: Release[SystemdOptions]) -> Iterator[str]:
    name, home = release.name, home_of(release.name)
    yield "[Service]"
    yield "# Started is what runs: a program that isn't there is an error of the start."
    yield "Type=exec"
    yield "# `current` is a link to one release: an update and its way back are another link and a"
    yield "# restart."
    yield f"ExecStart={home}/current/venv/bin/python -m pilotlight.instance"
    yield f"Environment=PILOTLIGHT_CONFIG_FILE={home}/current/pilotlight.yaml"
    yield f"Environment=PILOTLIGHT_HOST={address_of(release).host}"
    yield "# The only place it may write to; it outlives releases."
    yield f"StateDirectory=pilotlight-{name}"
    yield "StateDirectoryMode=0700"
    yield f"Environment=PILOTLIGHT_DATA_DIR=%S/pilotlight-{name}"
    if release.options.env_file:
        yield f"EnvironmentFile={release.options.env_file}"
    if release.keys:
        yield "# Hashes, and no secret: whoever reads them can't ask with them."
        yield f"ExecStartPre=/bin/ln -sfn {home}/current/keys.json %S/pilotlight-{name}/keys.json"
    yield "Restart=on-failure"
    yield "RestartSec=1s"
    yield "# Requests in flight have `drain` to finish; then it is killed."
    yield f"TimeoutStopSec={drain_s(release) + SPARE_S:g}s"
    yield "# Its engines are ended by it, in their time; what it left behind is ended by systemd."
    yield "KillMode=mixed"
    yield f"CPUQuota={math.ceil(release.size.vcpus * 100)}%"
    yield f"MemoryMax={release.size.memory_bytes}"
    yield "# A model that swaps answers too late to be of use."
    yield "MemorySwapMax=0"
    yield "TasksMax=1024"


def _confinement(release: Release[SystemdOptions]) -> Iterator[str]:
    """`systemd-analyze security` says of each line what it is worth."""
    yield "# As little as it needs. No user of the machine's own: one that exists while it runs."
    yield "DynamicUser=yes"
    yield "UMask=0077"
    yield "CapabilityBoundingSet="
    yield "AmbientCapabilities="
    yield "NoNewPrivileges=yes"
    yield "ProtectSystem=strict"
    yield "ProtectHome=yes"
    yield "PrivateTmp=yes"
    yield "PrivateMounts=yes"
    yield from _devices(release)
    yield "ProtectClock=yes"
    yield "ProtectHostname=yes"
    yield "ProtectKernelLogs=yes"
    yield "ProtectKernelModules=yes"
    yield "ProtectKernelTunables=yes"
    yield "ProtectControlGroups=yes"
    yield "ProtectProc=invisible"
    yield "RestrictNamespaces=yes"
    yield "RestrictRealtime=yes"
    yield "RestrictSUIDSGID=yes"
    yield "LockPersonality=yes"
    yield "RemoveIPC=yes"
    yield "# TCP for clients and downloads, Unix sockets for engines, netlink to find addresses."
    yield "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "# Without @resources engines could not choose their cores."
    yield "SystemCallFilter=~@privileged"


def _devices(release: Release[SystemdOptions]) -> Iterator[str]:
    if not release.size.gpus:
        yield "PrivateDevices=yes"
        return
    yield f"# The GPU's own devices and no other ({release.size.gpu})."
    yield "DevicePolicy=closed"
    yield "DeviceAllow=char-nvidia* rw"


def _install() -> Iterator[str]:
    yield "[Install]"
    yield "# At every boot."
    yield "WantedBy=multi-user.target"

"""docs/deploy-cloudrun.md: its configuration is one that can be put up, its names are real."""

from __future__ import annotations

import re

import yaml

from deploy.cloud_run.releases import KEYS
from deploy.core.made import known
from docs.blocks import blocks, read
from pilotlight.config import declared
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.gpus import GPUS
from pilotlight.deploy.cloud_run.limits import STARTUP_S
from pilotlight.deploy.cloud_run.options import CloudRunOptions
from pilotlight.deploy.resolve import resolve
from pilotlight.deploy.source import Source

PAGE = "docs/deploy-cloudrun.md"
IMAGE = "us-central1-docker.pkg.dev/acme-models/pilotlight/chat:1"


def test_its_configuration_breaks_no_limit() -> None:
    [block] = [block for block in blocks(PAGE) if block.language == "yaml"]
    tree = yaml.safe_load(block.text)
    serve = {"models": tree["models"]}
    source = Source(name="pilotlight.yaml", serve=serve, section=tree["deploy"])
    release = resolve(CloudRun(), source, known(keys=KEYS), [f"image={IMAGE}"])
    assert list(map(str, CloudRun().check(release))) == []
    assert release.scaling.concurrency == 16
    assert release.options.project == "acme-models"


def test_every_setting_of_the_target_is_told() -> None:
    text = read(PAGE)
    settings = {item.path[-1] for item in declared(CloudRunOptions)}
    own = settings - {item.path[-1] for item in declared(CloudRunOptions.__mro__[1])}
    # Those need no choice of most people's: the configuration reference has them all.
    rare = {"boost", "execution_environment", "ephemeral_disk"}
    assert {name for name in own if not re.search(rf"`?\b{name}\b", text)} <= rare


def test_every_shell_block_says_why_it_is_not_executed() -> None:
    assert [block.line for block in blocks(PAGE) if block.language == "sh"]
    assert all(block.reason for block in blocks(PAGE) if block.language == "sh")


def test_its_figures_are_the_limits() -> None:
    text = read(PAGE)
    for name, gpu in GPUS.items():
        assert f"gpu: {name}" in text
        assert str(gpu.least_vcpus) in text
    assert f"{STARTUP_S} s aren't given" in text

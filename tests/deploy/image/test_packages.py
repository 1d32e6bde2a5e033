"""What is installed into an image, from which lock, for which platform."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pilotlight.deploy.image import packages

ROOT = Path(__file__).parents[3]


def names(text: str) -> set[str]:
    return set(re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE))


def test_the_lock_in_the_package_is_the_projects() -> None:
    assert packages.lock() == (ROOT / "requirements" / "serve.lock").read_text()


def test_only_the_wheels_image_has_the_wheel() -> None:
    everything = names(packages.lock())
    assert names(packages.requirements("wheel")) == everything - {"setuptools"}
    for engine in ("native", "none"):
        wanted = names(packages.requirements(engine))  # type: ignore[arg-type]
        assert wanted == everything - {"setuptools", "xllamacpp"}


def test_every_requirement_keeps_its_hashes() -> None:
    text = packages.requirements("native")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        if "==" in entry.splitlines()[0]:
            assert "--hash=sha256:" in entry


def test_further_requirements_come_last() -> None:
    more = "mine==1 \\\n    --hash=sha256:00\n"
    assert packages.requirements("none", [more]).endswith(more)


def test_files_of_requirements_do_not_run_into_each_other() -> None:
    text = packages.requirements("none", ["one==1 --hash=sha256:00", "two==2 --hash=sha256:11"])
    assert text.splitlines()[-2:] == ["one==1 --hash=sha256:00", "two==2 --hash=sha256:11"]


@pytest.mark.parametrize(("architecture", "machine"), [("x86_64", "x86_64"), ("arm64", "aarch64")])
def test_pip_is_told_the_images_platform_and_to_check_hashes(
    architecture: str, machine: str
) -> None:
    argv = packages.install_command("3.12", architecture, "r.txt", "t")  # type: ignore[arg-type]
    platforms = [argv[i + 1] for i, word in enumerate(argv) if word == "--platform"]
    assert f"manylinux_2_28_{machine}" in platforms
    assert all(platform.endswith(machine) for platform in platforms)
    assert {"--require-hashes", "--no-compile", "--only-binary"} <= set(argv)
    assert argv[argv.index("--python-version") + 1] == "3.12"

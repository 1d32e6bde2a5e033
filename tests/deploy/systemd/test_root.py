"""An alternative root: another system's files, written by real tools and started by its boot."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.server.releases import SYSTEMD, with_options
from pilotlight.deploy.release import Release
from pilotlight.deploy.resources import changes
from pilotlight.deploy.systemd.target import SystemdTarget
from pilotlight.deploy.target import Status
from pilotlight.errors import DeployError

pytestmark = pytest.mark.platforms


@pytest.fixture
def release(tmp_path: Path) -> Release[Any]:
    if shutil.which("systemctl") is None:
        pytest.skip("systemctl isn't on PATH")
    package = tmp_path / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "empty"\nversion = "1"\n'
    )
    # The smallest package that pip builds: no index is asked for a backend.
    (package / "backend.py").write_text(BACKEND)
    root = tmp_path / "root"
    for folder in ("etc/systemd/system", "opt"):
        (root / folder).mkdir(parents=True)
    return with_options(SYSTEMD, root=root, package=str(package), python=Path(sys.executable))


BACKEND = """
import zipfile


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "empty-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as file:
        file.writestr("empty.py", "")
        about = "Metadata-Version: 2.1\\nName: empty\\nVersion: 1\\n"
        file.writestr("empty-1.dist-info/METADATA", about)
        wheel = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        file.writestr("empty-1.dist-info/WHEEL", wheel)
        file.writestr("empty-1.dist-info/RECORD", "")
    return name
"""


def apply(release: Release[Any]) -> Status:
    system = SystemdTarget()
    todo = tuple(changes(system.live(release), system.wanted(release)))
    return system.apply(release, todo, lambda said: None)


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_install_update_and_removal(release: Release[Any]) -> None:
    root, empty = release.options.root, everything(release.options.root)
    status = apply(release)
    assert status.state == "updating"
    assert "starts when that system boots" in status.detail
    current = root / "opt/pilotlight/chat/current"
    assert (current / "venv/bin/python").exists()
    assert (current / "keys.json").stat().st_mode & 0o004, "the service's own user reads it"
    wants = root / "etc/systemd/system/multi-user.target.wants/pilotlight-chat.service"
    assert wants.is_symlink()
    assert list(changes(SystemdTarget().live(release), SystemdTarget().wanted(release))) == []

    first = current.readlink()
    apply(with_options(release, listen="127.0.0.1:9000"))
    assert current.readlink() != first
    assert "9000" in (current / "pilotlight.yaml").read_text()

    SystemdTarget().delete(release, lambda said: None)
    SystemdTarget().delete(release, lambda said: None)
    assert everything(root) == empty


def test_a_package_that_cant_be_installed_leaves_nothing(release: Release[Any]) -> None:
    root = release.options.root
    empty = everything(root)
    missing = str(root / "no-such-package")
    with pytest.raises(DeployError, match="installing the release failed") as caught:
        apply(with_options(release, package=missing))
    assert "systemd.package" in str(caught.value.hint)
    assert everything(root) == empty


def test_another_python_that_isnt_there(release: Release[Any]) -> None:
    with pytest.raises(DeployError, match="no-python"):
        apply(with_options(release, python=Path("/usr/bin/no-python")))
    assert not (release.options.root / "opt/pilotlight").exists()

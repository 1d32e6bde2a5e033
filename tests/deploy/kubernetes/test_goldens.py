"""What is rendered, to the byte."""

from __future__ import annotations

import pytest

from deploy.kubernetes.goldens import FOLDER, files
from deploy.kubernetes.made import RELEASES
from pilotlight.deploy.kubernetes.verbs import KubernetesTarget

RENDERED = dict(files())


@pytest.mark.parametrize("path", sorted(RENDERED))
def test_golden(path: str) -> None:
    assert RENDERED[path] == (FOLDER / path).read_text(), (
        "if it is meant: (cd tests && python -m deploy.kubernetes.goldens)"
    )


def test_no_golden_is_left_over() -> None:
    kept = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert kept == set(RENDERED)


def test_the_same_release_gives_the_same_bytes() -> None:
    release = RELEASES["tenants"]
    assert KubernetesTarget().render(release) == KubernetesTarget().render(release)


@pytest.mark.parametrize("name", RELEASES)
def test_no_secret_is_in_any_file(name: str) -> None:
    """Hashes of keys may be; a key, such as engines ask for, may not."""
    for path, text in KubernetesTarget().render(RELEASES[name]).items():
        if not path.endswith(("engine-key.sh", "engine-key.yaml")):
            assert "pl-" not in text.replace("--pl-", ""), path

"""The bill of materials: by CycloneDX's own schema, and packages by their own words."""

from __future__ import annotations

import json
from email.parser import HeaderParser
from pathlib import Path

import pytest

from deploy.image.specs import CASES
from pilotlight.deploy.image import llamacpp, materials
from pilotlight.deploy.image.spec import ImageSpec


@pytest.mark.parametrize("spec", CASES.values(), ids=list(CASES))
def test_a_bill_is_valid_cyclonedx(spec: ImageSpec) -> None:
    schema = pytest.importorskip("cyclonedx.schema")
    validation = pytest.importorskip("cyclonedx.validation.json")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_5)
    assert validator.validate_str(json.dumps(materials.bill(spec))) is None


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT AND PSF-2.0\nLicense: old words", ("MIT AND PSF-2.0", True)),
        ("Classifier: License :: OSI Approved :: MIT License", ("MIT License", False)),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: Apache Software License",
            ("MIT License or Apache Software License", False),
        ),
        ("Classifier: License :: OSI Approved\nLicense: BSD", ("BSD", False)),
        ("License: Permission is hereby granted\n  to anybody", (None, False)),
        ("Name: nothing", (None, False)),
    ],
)
def test_a_licence_is_what_the_package_says(
    metadata: str, expected: tuple[str | None, bool]
) -> None:
    assert materials.licence_of(HeaderParser().parsestr(metadata)) == expected


def test_packages_are_read_from_what_is_installed(tmp_path: Path) -> None:
    info = tmp_path / "My_Package-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: My_Package\nVersion: 1.2\nLicense-Expression: MIT\n")
    (found,) = materials.packages(tmp_path)
    assert (found.name, found.version, found.licence) == ("My_Package", "1.2", "MIT")
    assert found.purl == "pkg:pypi/my-package@1.2"


def test_llamacpp_is_named_by_its_commit_and_by_the_hash_of_what_it_came_in() -> None:
    found = materials.engine("0c1e570")
    assert found.version == "0c1e570"
    assert found.sha256 == llamacpp.source_sha256()
    assert llamacpp.version() in materials.engine(None).version

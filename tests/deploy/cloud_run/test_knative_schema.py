"""service.yaml against Knative Serving's own schema (cloudcoil's models of it)."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from deploy.cloud_run.goldens import rendered
from deploy.cloud_run.releases import CASES


def document(case: str) -> Any:
    return yaml.safe_load(rendered(case)["service.yaml"])


def known_of(given: Mapping[str, Any]) -> Any:
    """What Knative's schema kept of it; raises ValidationError."""
    models = pytest.importorskip(
        "cloudcoil.models.knative_serving.serving.v1",
        reason="cloudcoil.models.knative-serving isn't installed",
    )
    spelled = copy.deepcopy(dict(given))
    limits = spelled["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    # Those models trip over a whole number in a text; thousandths are the same quantity.
    limits.update({key: f"{text}000m" for key, text in limits.items() if text.isdigit()})
    service = models.Service.model_validate(spelled)
    return service.model_dump(by_alias=True, exclude_none=True, mode="json")


def lost(given: Any, known: Any, where: str = "") -> Iterator[str]:
    """Paths that the schema doesn't have: it drops them without a word."""
    if isinstance(given, Mapping):
        for key, value in given.items():
            if key not in known:
                yield f"{where}.{key}".strip(".")
            else:
                yield from lost(value, known[key], f"{where}.{key}")
    elif isinstance(given, list):
        for value, other in zip(given, known, strict=True):
            yield from lost(value, other, where)


@pytest.mark.parametrize("case", CASES)
def test_it_is_a_knative_service(case: str) -> None:
    found = set(lost(document(case), known_of(document(case))))
    # Cloud Run's own: Knative mounts no buckets.
    assert found <= {"spec.template.spec.volumes.csi"}


def test_a_field_that_knative_lacks_is_found() -> None:
    strange = document("chat")
    strange["spec"]["template"]["spec"]["containerConcurency"] = 16
    assert list(lost(strange, known_of(strange))) == ["spec.template.spec.containerConcurency"]


def test_a_value_that_can_not_be_is_found() -> None:
    strange = document("chat")
    strange["spec"]["template"]["spec"]["timeoutSeconds"] = "soon"
    with pytest.raises(ValueError, match="timeoutSeconds"):
        known_of(strange)

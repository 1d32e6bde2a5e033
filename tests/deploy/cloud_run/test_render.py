"""The rendered files: as approved, and all three ways of putting it up say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from google.cloud import run_v2
from google.protobuf import json_format

from deploy.cloud_run.admin_rules import faults, plain
from deploy.cloud_run.goldens import approved, rendered
from deploy.cloud_run.releases import CASES, CHAT, GPU, with_options
from pilotlight.config import parse_model
from pilotlight.deploy.cloud_run.cloud_run import CloudRun
from pilotlight.deploy.cloud_run.options import INGRESS
from pilotlight.errors import ConfigError

cases = pytest.mark.parametrize("case", CASES)


@cases
def test_files_are_as_approved(case: str) -> None:
    assert rendered(case) == approved(case), "see deploy.cloud_run.goldens"


@cases
def test_files_come_in_reading_order(case: str) -> None:
    assert next(iter(rendered(case))) == "README.md"


def wanted(case: str) -> Mapping[str, Any]:
    return CloudRun().wanted(CASES[case])[f"service/{CASES[case].name}"]


def message(case: str) -> run_v2.Service:
    """Raises ParseError for a field that the API doesn't have."""
    document = json.loads(json.dumps(wanted(case)))
    for volume in document["template"]["volumes"]:
        # The one word that the client's version of the API doesn't know yet.
        if volume.get("emptyDir", {}).get("medium") == "DISK":
            volume["emptyDir"]["medium"] = "MEMORY"
    return run_v2.Service.wrap(json_format.ParseDict(document, plain(run_v2.Service())))


@cases
def test_the_service_has_only_fields_and_values_of_the_api(case: str) -> None:
    assert list(faults(CASES[case].name, message(case))) == []


def test_a_field_that_the_api_lacks_would_be_found() -> None:
    with pytest.raises(json_format.ParseError, match="minInstances"):
        json_format.ParseDict({"template": {"minInstances": 1}}, plain(run_v2.Service()))


def from_knative(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same service in the words of the v2 API, by Cloud Run's documents of both."""
    notes = document["metadata"]["annotations"]
    template = document["spec"]["template"]
    inner, spec = template["metadata"]["annotations"], template["spec"]
    [container] = spec["containers"]
    selector = spec.get("nodeSelector")
    off = inner.get("run.googleapis.com/gpu-zonal-redundancy-disabled", "false")
    generation = inner["run.googleapis.com/execution-environment"].upper()
    return {
        "labels": document["metadata"]["labels"],
        "ingress": INGRESS[notes["run.googleapis.com/ingress"]],
        "launchStage": notes["run.googleapis.com/launch-stage"],
        "invokerIamDisabled": notes.get("run.googleapis.com/invoker-iam-disabled") == "true",
        "template": {
            "labels": template["metadata"]["labels"],
            "scaling": {
                "minInstanceCount": int(inner["autoscaling.knative.dev/minScale"]),
                "maxInstanceCount": int(inner["autoscaling.knative.dev/maxScale"]),
            },
            "maxInstanceRequestConcurrency": spec["containerConcurrency"],
            "timeout": f"{spec['timeoutSeconds']}s",
            "serviceAccount": spec.get("serviceAccountName", ""),
            "executionEnvironment": f"EXECUTION_ENVIRONMENT_{generation}",
            "nodeSelector": selector
            and {"accelerator": selector["run.googleapis.com/accelerator"]},
            "gpuZonalRedundancyDisabled": off == "true",
            "containers": [
                {
                    "image": container["image"],
                    "ports": container["ports"],
                    "env": [_variable(each) for each in container["env"]],
                    "resources": {
                        "limits": container["resources"]["limits"],
                        "cpuIdle": inner["run.googleapis.com/cpu-throttling"] == "true",
                        "startupCpuBoost": inner["run.googleapis.com/startup-cpu-boost"] == "true",
                    },
                    "startupProbe": container["startupProbe"],
                    "livenessProbe": container["livenessProbe"],
                    "volumeMounts": container.get("volumeMounts", []),
                }
            ],
            "volumes": [_volume(each) for each in spec.get("volumes", [])],
        },
        "traffic": [
            {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": each["percent"]}
            for each in document["spec"]["traffic"]
            if each["latestRevision"]
        ],
    }


def _variable(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "value" in entry:
        return dict(entry)
    reference = entry["valueFrom"]["secretKeyRef"]
    secret = {"secret": reference["name"], "version": reference["key"]}
    return {"name": entry["name"], "valueSource": {"secretKeyRef": secret}}


def _volume(entry: Mapping[str, Any]) -> dict[str, Any]:
    if "emptyDir" in entry:
        disk = entry["emptyDir"]
        return {**entry, "emptyDir": {**disk, "medium": disk["medium"].upper()}}
    csi = entry["csi"]
    assert csi["driver"] == "gcsfuse.run.googleapis.com"
    attributes = csi["volumeAttributes"]
    gcs = {
        "bucket": attributes["bucketName"],
        "readOnly": csi["readOnly"],
        "mountOptions": attributes["mountOptions"].split(","),
    }
    return {"name": entry["name"], "gcs": gcs}


@cases
def test_the_yaml_says_what_apply_sends(case: str) -> None:
    document = yaml.safe_load(rendered(case)["service.yaml"])
    assert document["metadata"]["name"] == CASES[case].name
    assert from_knative(document) == wanted(case)


@cases
def test_the_configuration_is_one_that_instances_can_run(case: str) -> None:
    files = rendered(case)
    service = yaml.safe_load(files["service.yaml"])
    env = service["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[0]["value"] == files["pilotlight.yaml"]
    tree = yaml.safe_load(files["pilotlight.yaml"])
    from pilotlight.config import Settings, parse_tree

    settings = parse_tree(Settings, tree, "", "pilotlight.yaml")
    assert settings.drain < 10, "Cloud Run kills 10 s after SIGTERM"
    for name, entry in tree["models"].items():
        parse_model(name, entry, settings.defaults, "pilotlight.yaml")


def test_no_file_has_more_than_hashes_of_the_keys() -> None:
    assert "keys.json" in rendered("chat")
    assert "keys.json" not in rendered("gpu"), "they are in Secret Manager"
    text = "".join(rendered("gpu").values())
    assert "abcd1234" not in text


def test_least_privilege() -> None:
    """Its own identity has the roles that its release needs, each on one thing only."""
    text = rendered("gpu")["main.tf"]
    assert [line for line in text.splitlines() if "roles/" in line] == [
        '  role     = "roles/storage.objectViewer"',
        '  role      = "roles/secretmanager.secretAccessor"',
        '  role     = "roles/run.invoker"',
    ]
    assert "google_project_iam" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [("billing", "hourly"), ("ingress", "everyone"), ("execution_environment", "gen3")],
)
def test_an_option_that_can_not_be_names_those_that_can(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"cloudrun.{name} is {value!r}, expected one of"):
        with_options(CHAT, **{name: value})


def test_the_bill_follows_the_row_of_its_billing() -> None:
    assert CloudRun().platform(CHAT) == "cloud-run-request"
    assert CloudRun().platform(with_options(CHAT, billing="instance")) == "cloud-run-instance"
    assert CloudRun().platform(GPU) == "cloud-run-gpu"


# Terraform ---------------------------------------------------------------------------------------

TERRAFORM_ONLY = {"provider", "location", "deletion_protection", "depends_on"}


def _plainly(value: Any) -> Any:
    """python-hcl2's tree without its quotes and its marks."""
    if isinstance(value, Mapping):
        return {str(k).strip('"'): _plainly(v) for k, v in value.items() if not k.startswith("__")}
    if isinstance(value, list):
        return [_plainly(item) for item in value]
    return value.strip('"') if isinstance(value, str) else value


def _strange(block: Mapping[str, Any], descriptor: Any, where: str) -> Iterator[str]:
    fields = {field.name: field for field in descriptor.fields}
    for name, value in block.items():
        field = fields.get(name)
        if field is None:
            yield f"{where}.{name}"
            continue
        inner = field.message_type
        if inner is None or inner.GetOptions().map_entry or name == "timeout":
            continue
        for each in value if isinstance(value, list) else [value]:
            yield from _strange(each, inner, f"{where}.{name}")


@cases
def test_terraform_has_the_fields_of_the_api(case: str) -> None:
    """The provider's resource is made from the API's own description, name for name."""
    hcl2 = pytest.importorskip("hcl2", reason="python-hcl2 isn't installed")
    tree = _plainly(hcl2.loads(rendered(case)["main.tf"]))
    [service] = [
        block["service"]
        for each in tree["resource"]
        for kind, block in each.items()
        if kind == "google_cloud_run_v2_service"
    ]
    own = {key: value for key, value in service.items() if key not in TERRAFORM_ONLY}
    assert list(_strange(own, run_v2.Service.pb().DESCRIPTOR, "service")) == []
    [template], found = own["template"], wanted(case)["template"]
    assert template["max_instance_request_concurrency"] == found["maxInstanceRequestConcurrency"]
    assert template["timeout"] == found["timeout"]
    [container] = template["containers"]
    [resources] = container["resources"]
    assert resources["limits"] == found["containers"][0]["resources"]["limits"]
    assert resources["cpu_idle"] == found["containers"][0]["resources"]["cpuIdle"]
    assert own["invoker_iam_disabled"] == wanted(case)["invokerIamDisabled"]
    assert len(container["env"]) == len(found["containers"][0]["env"])
    assert len(template.get("volumes", [])) == len(found["volumes"])

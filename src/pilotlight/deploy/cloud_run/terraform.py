"""main.tf: the same service, an identity that may do nothing else, and who may call it. Pure.

Without a `service_account` this makes one, with no role but to read the bucket and the secret that
the release names: the project's default identity may often edit the whole project.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pilotlight.deploy.cloud_run.gpus import GPUS
from pilotlight.deploy.cloud_run.instance import (
    CONFIG_VARIABLE,
    KEYS_VARIABLE,
    keys_text,
    secret_of,
)
from pilotlight.deploy.cloud_run.options import INGRESS
from pilotlight.deploy.cloud_run.placement import CloudRunRelease, billing_of, region_of
from pilotlight.deploy.cloud_run.service import (
    INVOKER,
    LABELS,
    LIVENESS,
    MOUNT_OPTIONS,
    STARTUP,
    VOLUME_OF_BUCKET,
    VOLUME_OF_DISK,
    Probe,
    launch_stage,
    limits,
    quantity,
    timeout_s,
)
from pilotlight.deploy.instance_file import CACHE_DIR, DATA_DIR, PORT

PROVIDER_VERSION = "~> 7.0"

_HEAD = """\
# Rendered by `pilotlight deploy render cloudrun`; README.md has the commands.
terraform {
  required_version = ">= 1.5"
  required_providers {
    %(provider)s = {
      source  = "hashicorp/%(provider)s"
      version = "%(version)s"
    }
  }
}

variable "project" {
  type        = string
  description = "Google Cloud project"%(project)s
}

provider "%(provider)s" {
  project = var.project
  region  = %(region)s
}
"""


def main_tf(release: CloudRunRelease) -> str:
    blocks = [_head(release), *_identity(release), _service(release), *_invokers(release)]
    return "\n".join([*blocks, _output()])


def _head(release: CloudRunRelease) -> str:
    project = release.options.project
    return _HEAD % {
        # Ephemeral disks are a preview, which only the beta provider has.
        "provider": _provider(release),
        "version": PROVIDER_VERSION,
        "project": f"\n  default     = {_text(project)}" if project else "",
        "region": _text(region_of(release)),
    }


def _provider(release: CloudRunRelease) -> str:
    return "google-beta" if launch_stage(release) == "BETA" else "google"


def _identity(release: CloudRunRelease) -> Iterator[str]:
    if release.options.service_account:
        return
    yield _block('resource "google_service_account" "instance"', [
        "# Whoever gets into an instance gets what this may do: nothing beyond what follows.",
        f"provider     = {_provider(release)}",
        f"account_id   = {_text(account_id(release.name))}",
        f"display_name = {_text(f'Pilotlight {release.name}')}",
    ])  # fmt: skip
    if release.models == "mount":
        yield _member(release, "storage_bucket", "models", "roles/storage.objectViewer", {
            "bucket": _text(release.options.bucket or ""),
        })  # fmt: skip
    if secret := secret_of(release):
        yield _member(release, "secret_manager_secret", "keys",
                      "roles/secretmanager.secretAccessor", {
            "secret_id": _text(secret[0]),
        })  # fmt: skip


def account_id(name: str) -> str:
    """Of 6 to 30 characters."""
    whole = f"pilotlight-{name}"
    return whole[:30].rstrip("-")


def _member(
    release: CloudRunRelease, kind: str, name: str, role: str, where: dict[str, str]
) -> str:
    return _block(f'resource "google_{kind}_iam_member" "{name}"', [
        f"provider = {_provider(release)}",
        *(f"{key} = {value}" for key, value in where.items()),
        f"role = {_text(role)}",
        'member = "serviceAccount:${google_service_account.instance.email}"',
    ])  # fmt: skip


def _service(release: CloudRunRelease) -> str:
    options = release.options
    return _block('resource "google_cloud_run_v2_service" "service"', [
        f"provider = {_provider(release)}",
        f"name = {_text(release.name)}",
        f"location = {_text(region_of(release))}",
        f"ingress = {_text(INGRESS[options.ingress])}",
        f"launch_stage = {_text(launch_stage(release))}",
        f"invoker_iam_disabled = {_word(not options.invoker_check)}",
        "# `terraform destroy` is to leave nothing.",
        "deletion_protection = false",
        f"labels = {_map(LABELS)}",
        *_depends(release),
        "",
        *_nested("template", _template(release)),
    ])  # fmt: skip


def _depends(release: CloudRunRelease) -> Iterator[str]:
    """A revision that may not read its secret or bucket yet never becomes ready."""
    if release.options.service_account:
        return
    needed = []
    if release.models == "mount":
        needed.append("google_storage_bucket_iam_member.models")
    if secret_of(release):
        needed.append("google_secret_manager_secret_iam_member.keys")
    if needed:
        yield f"depends_on = [{', '.join(needed)}]"


def _template(release: CloudRunRelease) -> Iterator[str]:
    options, scaling = release.options, release.scaling
    account = options.service_account
    identity = _text(account) if account else "google_service_account.instance.email"
    yield f"labels = {_map(LABELS)}"
    yield f"service_account = {identity}"
    yield f"timeout = {_text(f'{timeout_s(release)}s')}"
    yield "# One instance answers so many at once, in one batch: what makes it cheap."
    yield f"max_instance_request_concurrency = {scaling.concurrency}"
    environment = f"EXECUTION_ENVIRONMENT_{options.execution_environment.upper()}"
    yield f"execution_environment = {_text(environment)}"
    if gpu := GPUS.get(release.size.gpu or ""):
        yield f"gpu_zonal_redundancy_disabled = {_word(not options.zonal_redundancy)}"
        yield from _nested("node_selector", [f"accelerator = {_text(gpu.accelerator)}"])
    yield from _nested("scaling", [
        f"min_instance_count = {scaling.minimum}",
        f"max_instance_count = {scaling.maximum}",
    ])  # fmt: skip
    yield from _nested("containers", _container(release))
    yield from _volumes(release)


def _container(release: CloudRunRelease) -> Iterator[str]:
    yield f"image = {_text(release.image or '')}"
    yield from _nested("ports", [f"container_port = {PORT}"])
    yield from _nested("resources", [
        f"limits = {_map(limits(release))}",
        f"# Billed by {billing_of(release)}.",
        f"cpu_idle = {_word(billing_of(release) == 'request')}",
        f"startup_cpu_boost = {_word(release.options.boost)}",
    ])  # fmt: skip
    yield "# Traffic comes once every model is loaded and has made a token."
    yield from _nested("startup_probe", _probe(STARTUP))
    yield from _nested("liveness_probe", _probe(LIVENESS))
    yield from _variable(CONFIG_VARIABLE, 'file("${path.module}/pilotlight.yaml")')
    if secret := secret_of(release):
        yield from _nested("env", [
            f"name = {_text(KEYS_VARIABLE)}",
            *_nested("value_source", _nested("secret_key_ref", [
                f"secret = {_text(secret[0])}",
                f"version = {_text(secret[1])}",
            ])),
        ])  # fmt: skip
    elif keys_text(release) is not None:
        yield from _variable(KEYS_VARIABLE, 'file("${path.module}/keys.json")')
    if release.models == "mount":
        yield from _mount(VOLUME_OF_BUCKET, CACHE_DIR)
    if release.options.ephemeral_disk:
        yield from _mount(VOLUME_OF_DISK, DATA_DIR)


def _variable(name: str, expression: str) -> Iterator[str]:
    yield from _nested("env", [f"name = {_text(name)}", f"value = {expression}"])


def _mount(name: str, path: str) -> Iterator[str]:
    yield from _nested("volume_mounts", [f"name = {_text(name)}", f"mount_path = {_text(path)}"])


def _probe(probe: Probe) -> Iterator[str]:
    yield f"period_seconds = {probe.period_s}"
    yield f"timeout_seconds = {probe.timeout_s}"
    yield f"failure_threshold = {probe.tries}"
    yield from _nested("http_get", [f"path = {_text(probe.path)}", f"port = {PORT}"])


def _volumes(release: CloudRunRelease) -> Iterator[str]:
    if release.models == "mount":
        yield from _nested("volumes", [
            f"name = {_text(VOLUME_OF_BUCKET)}",
            *_nested("gcs", [
                f"bucket = {_text(release.options.bucket or '')}",
                "read_only = true",
                f"mount_options = {json.dumps(list(MOUNT_OPTIONS))}",
            ]),
        ])  # fmt: skip
    if release.options.ephemeral_disk:
        yield from _nested("volumes", [
            f"name = {_text(VOLUME_OF_DISK)}",
            *_nested("empty_dir", [
                'medium = "DISK"',
                f"size_limit = {_text(quantity(release.size.disk_bytes))}",
            ]),
        ])  # fmt: skip


def _invokers(release: CloudRunRelease) -> Iterator[str]:
    if not (release.options.invokers and release.options.invoker_check):
        return
    yield _block('resource "google_cloud_run_v2_service_iam_binding" "invokers"', [
        "# With allUsers our API keys alone say who may ask.",
        f"provider = {_provider(release)}",
        "name = google_cloud_run_v2_service.service.name",
        "location = google_cloud_run_v2_service.service.location",
        f"role = {_text(INVOKER)}",
        f"members = {json.dumps(sorted(set(release.options.invokers)))}",
    ])  # fmt: skip


def _output() -> str:
    return _block('output "url"', ["value = google_cloud_run_v2_service.service.uri"])


def _block(head: str, lines: list[str]) -> str:
    return "\n".join(_nested(head, lines)) + "\n"


def _nested(head: str, lines: Iterator[str] | list[str]) -> list[str]:
    return [f"{head} {{", *(f"  {line}" if line else "" for line in _aligned(list(lines))), "}"]


def _aligned(lines: list[str]) -> list[str]:
    """Equals signs below each other in each run of arguments, as `terraform fmt` has them."""
    done: list[str] = []
    run: list[tuple[str, str]] = []
    for line in [*lines, ""]:
        key, equals, value = line.partition(" = ")
        plain = equals and key.replace("_", "a").isalnum()
        if plain and "\n" not in value:
            run.append((key, value))
            continue
        width = max((len(name) for name, _ in run), default=0)
        done += [f"{name:<{width}} = {value}" for name, value in run]
        run = []
        done.append(line)
    return done[:-1]


def _text(value: str) -> str:
    """HCL reads ${ and %{ in a text."""
    return json.dumps(value).replace("${", "$${").replace("%{", "%%{")


def _map(values: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{_text(k)} = {_text(v)}" for k, v in values.items()) + " }"


def _word(value: bool) -> str:
    return "true" if value else "false"

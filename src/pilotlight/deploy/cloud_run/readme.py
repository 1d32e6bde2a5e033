"""README.md of the rendered folder: the commands, in order, for somebody without Pilotlight."""

from __future__ import annotations

from collections.abc import Iterator

from pilotlight.deploy.cloud_run.instance import keys_text, secret_of
from pilotlight.deploy.cloud_run.placement import CloudRunRelease, billing_of, region_of
from pilotlight.deploy.cloud_run.service import INVOKER, launch_stage
from pilotlight.deploy.cloud_run.terraform import account_id


def readme(release: CloudRunRelease) -> str:
    return "\n".join(_lines(release)) + "\n"


def _lines(release: CloudRunRelease) -> Iterator[str]:
    yield f"# {release.name} on Cloud Run"
    yield ""
    yield f"{_instance(release)} {_cost(release)}"
    yield ""
    yield "| file | is |"
    yield "| --- | --- |"
    yield "| `service.yaml` | the service, for `gcloud run services replace` |"
    own = "" if release.options.service_account else ", with an identity of its own"
    yield f"| `main.tf` | the same for Terraform{own} |"
    yield "| `pilotlight.yaml` | what each instance runs; it is in both of the others |"
    if keys_text(release) is not None:
        yield "| `keys.json` | the keys' hashes; no key can be had from them |"
    yield ""
    yield "## Once a project"
    yield ""
    yield "```sh"
    yield f"gcloud config set project {_project(release)}"
    yield f"gcloud services enable {' '.join(_services(release))}"
    yield "```"
    yield ""
    yield from _needed(release)
    yield "## Put it up"
    yield ""
    yield "```sh"
    beta = "beta " if launch_stage(release) == "BETA" else ""
    yield f"gcloud {beta}run services replace service.yaml --region {region_of(release)}"
    yield from _invokers(release)
    yield "```"
    yield ""
    yield "or `terraform init && terraform apply`, which does what stands above it, too."
    yield ""
    yield "## Ask it"
    yield ""
    yield "```sh"
    yield f"URL=$(gcloud run services describe {release.name} --region {region_of(release)} \\"
    yield "  --format 'value(status.url)')"
    yield 'curl -H "Authorization: Bearer $PILOTLIGHT_API_KEY" "$URL/v1/models"'
    yield "```"
    yield ""
    yield "## Take it away"
    yield ""
    yield "```sh"
    yield f"gcloud run services delete {release.name} --region {region_of(release)} --quiet"
    yield "```"


def _instance(release: CloudRunRelease) -> str:
    size, scaling = release.size, release.scaling
    gpu = f", one {size.gpu.upper()}" if size.gpu else ""
    return (
        f"{scaling.minimum} to {scaling.maximum} instances of {size.vcpus:g} vCPUs and "
        f"{size.memory_bytes / 2**30:.4g} GiB{gpu} in {region_of(release)}; each answers up to "
        f"{scaling.concurrency} requests at once."
    )


def _cost(release: CloudRunRelease) -> str:
    if billing_of(release) == "request":
        idle = "idle ones are free"
        if release.scaling.minimum:
            idle = f"{release.scaling.minimum} kept ready cost the idle rate"
        return f"Billed while they start or have a request; {idle}."
    return "Billed from their start to their stop, at least a minute."


def _project(release: CloudRunRelease) -> str:
    return release.options.project or "PROJECT"


def _services(release: CloudRunRelease) -> Iterator[str]:
    yield "run.googleapis.com"
    yield "artifactregistry.googleapis.com"
    yield "iam.googleapis.com"
    if secret_of(release):
        yield "secretmanager.googleapis.com"


def _needed(release: CloudRunRelease) -> Iterator[str]:
    if secret := secret_of(release):
        yield "## The keys"
        yield ""
        yield f"The secret `{secret[0]}` holds the content of the gateway's keys.json:"
        yield ""
        yield "```sh"
        yield f"gcloud secrets create {secret[0]} --data-file ~/.local/share/pilotlight/keys.json"
        yield "```"
        yield ""
    if release.models == "mount":
        yield "## The models"
        yield ""
        yield f"The bucket `{release.options.bucket}`, in {region_of(release)}, holds a store:"
        yield ""
        yield "```sh"
        yield f"gcloud storage buckets create gs://{release.options.bucket} "\
              f"--location {region_of(release)}"  # fmt: skip
        yield "gcloud storage rsync --recursive ~/.local/share/pilotlight/store "\
              f"gs://{release.options.bucket}"  # fmt: skip
        yield "```"
        yield ""
    if release.options.service_account is None:
        yield "## An identity that may do nothing else"
        yield ""
        yield "Without one it runs as the project's default identity, which may often edit all of"
        yield "the project. `main.tf` makes this one by itself; for `gcloud` make it, and name it"
        yield "in `deploy.cloudrun.service_account`."
        yield ""
        yield "```sh"
        yield f"gcloud iam service-accounts create {account_id(release.name)}"
        yield from _grants(release)
        yield "```"
        yield ""


def _grants(release: CloudRunRelease) -> Iterator[str]:
    address = f"{account_id(release.name)}@{_project(release)}.iam.gserviceaccount.com"
    if release.models == "mount":
        yield f"gcloud storage buckets add-iam-policy-binding gs://{release.options.bucket} \\"
        yield f"  --member serviceAccount:{address} --role roles/storage.objectViewer"
    if secret := secret_of(release):
        yield f"gcloud secrets add-iam-policy-binding {secret[0]} \\"
        yield f"  --member serviceAccount:{address} --role roles/secretmanager.secretAccessor"


def _invokers(release: CloudRunRelease) -> Iterator[str]:
    if not release.options.invoker_check:
        return
    for member in sorted(set(release.options.invokers)):
        yield f"gcloud run services add-iam-policy-binding {release.name} \\"
        yield f"  --region {region_of(release)} --member {member} --role {INVOKER}"

"""The `cloudrun` section: what only Cloud Run has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pilotlight.config import setting
from pilotlight.deploy.settings import Common
from pilotlight.errors import ConfigError

INGRESS: Mapping[str, str] = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}
"""Cloud Run's two spellings: of its YAML, and of its API and Terraform."""

_CHOICES: Mapping[str, tuple[str, ...]] = {
    "billing": ("request", "instance"),
    "execution_environment": ("gen1", "gen2"),
    "ingress": tuple(INGRESS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunOptions(Common):
    project: str | None = setting(
        None,
        help="Google Cloud project; else the one that gcloud's credentials name",
        example="acme-models",
    )
    billing: str | None = setting(
        None,
        help="request or instance; else request, and instance with a GPU, which needs it",
        example="instance",
    )
    boost: bool = setting(True, help="more CPU while an instance starts, billed for that time")
    zonal_redundancy: bool = setting(
        False, help="GPUs reserved in several zones, at a higher rate than without"
    )
    execution_environment: str = setting(
        "gen2", help="gen1 starts sooner and has neither GPUs nor mounted buckets; or gen2"
    )
    bucket: str | None = setting(
        None,
        help="Cloud Storage bucket that holds the store, for `models: mount`",
        example="acme-store",
    )
    ephemeral_disk: bool = setting(
        False,
        help="write to a disk of `disk` in place of memory; a preview of Cloud Run's that its "
        "client doesn't know yet, so it is put up from the rendered files",
    )
    keys_secret: str | None = setting(
        None,
        help="NAME or NAME:VERSION in Secret Manager, its value the content of keys.json; else the "
        "keys' hashes stand in the service",
        example="chat-keys:1",
    )
    service_account: str | None = setting(
        None,
        help="e-mail of the identity it runs as; else the project's default one",
        example="pilotlight-chat@acme-models.iam.gserviceaccount.com",
    )
    ingress: str = setting(
        "all", help="who reaches it: all, internal or internal-and-cloud-load-balancing"
    )
    invokers: tuple[str, ...] = setting(
        ("allUsers",),
        help="whom Cloud Run lets call it, as IAM members; allUsers leaves that to our API keys",
    )
    invoker_check: bool = setting(
        True, help="false skips Cloud Run's own check where an organization forbids allUsers"
    )

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise ConfigError(
                    f"cloudrun.{name} is {value!r}, expected one of {', '.join(choices)}",
                    hint=f"such as --set cloudrun.{name}={choices[0]}",
                )

"""The cluster as Terraform resources: the same as gcloud's commands, with their state kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pilotlight.deploy.kubernetes.cluster.options import ClusterOptions
from pilotlight.deploy.kubernetes.cluster.pools import Pool

_HEAD = """\
terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.12"
    }
  }
}

provider "google" {
  project = var.project
  zone    = var.zone
}

# May pull images and write logs and metrics; nothing else that a node could be made to do.
resource "google_service_account" "nodes" {
  # Thirty characters at most.
  account_id   = "${substr(var.name, 0, 24)}-nodes"
  display_name = "Nodes of ${var.name}"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset([
    "roles/container.defaultNodeServiceAccount",
    "roles/artifactregistry.reader",
  ])
  project = var.project
  role    = each.value
  member  = "serviceAccount:${google_service_account.nodes.email}"
}
"""

_CLUSTER = """
resource "google_container_cluster" "this" {
  name     = var.name
  location = var.zone

  # Pools are resources of their own, so that one can change without the cluster.
  remove_default_node_pool = true
  initial_node_count       = 1
  deletion_protection      = false

  # NetworkPolicies are enforced by the data plane alone.
  datapath_provider = "ADVANCED_DATAPATH"
  networking_mode   = "VPC_NATIVE"

  release_channel {
    channel = CHANNEL
  }

  ip_allocation_policy {}

  # Pods have identities of their own; nodes' keys stay out of their reach.
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }

  monitoring_config {
    enable_components = ["SYSTEM_COMPONENTS"]
    managed_prometheus {
      enabled = true
    }
  }
AUTHORIZED}
"""

_AUTHORIZED = """
  dynamic "master_authorized_networks_config" {
    for_each = length(var.authorized) > 0 ? [1] : []
    content {
      dynamic "cidr_blocks" {
        for_each = var.authorized
        content {
          cidr_block = cidr_blocks.value
        }
      }
    }
  }
"""


def main(options: ClusterOptions, pools: Sequence[Pool]) -> str:
    cluster = _CLUSTER.replace("CHANNEL", json.dumps(options.channel.upper()))
    cluster = cluster.replace("AUTHORIZED", _AUTHORIZED)
    return _HEAD + cluster + "".join(_pool(pool) for pool in pools)


def _pool(pool: Pool) -> str:
    config = [
        f"    machine_type    = {json.dumps(pool.machine)}",
        f"    disk_size_gb    = {pool.disk_gib}",
        f"    disk_type       = {json.dumps(pool.disk_type)}",
        *(["    spot            = true"] if pool.spot else []),
        "    service_account = google_service_account.nodes.email",
        '    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]',
    ]
    return f"""
# For {pool.why}.
resource "google_container_node_pool" "{pool.name}" {{
  name               = "{pool.name}"
  cluster            = google_container_cluster.this.id
  initial_node_count = {pool.least}

  autoscaling {{
    min_node_count = {pool.least}
    max_node_count = {pool.most}
  }}

  node_config {{
{chr(10).join(config)}

    # A start reads what it needs of an image, not all of it.
    gcfs_config {{
      enabled = true
    }}

    workload_metadata_config {{
      mode = "GKE_METADATA"
    }}

{_accelerator(pool)}  }}

  # The autoscaler's number is not Terraform's to put back.
  lifecycle {{
    ignore_changes = [initial_node_count]
  }}
}}
"""


def _accelerator(pool: Pool) -> str:
    if pool.accelerator is None:
        return ""
    return f"""
    guest_accelerator {{
      type  = "{pool.accelerator}"
      count = {pool.accelerators}
      gpu_driver_installation_config {{
        gpu_driver_version = "DEFAULT"
      }}
    }}
"""


def variables(options: ClusterOptions) -> str:
    project = "" if options.project is None else f"\n  default     = {json.dumps(options.project)}"
    authorized = json.dumps(list(options.authorized))
    return f"""\
variable "project" {{
  description = "Google Cloud project"
  type        = string{project}
}}

variable "name" {{
  description = "Name of the cluster"
  type        = string
  default     = {json.dumps(options.name)}
}}

variable "zone" {{
  description = "Zone of all nodes"
  type        = string
  default     = {json.dumps(options.zone)}
}}

variable "authorized" {{
  description = "Networks that may reach the API server; none for all that have credentials"
  type        = list(string)
  default     = {authorized}
}}
"""


def outputs() -> str:
    command = (
        "gcloud container clusters get-credentials ${var.name} --zone=${var.zone} "
        "--project=${var.project}"
    )
    return f"""\
output "credentials" {{
  description = "What to run before kubectl"
  value       = "{command}"
}}
"""

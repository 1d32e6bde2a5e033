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
    channel = "REGULAR"
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
}

# For the gateway, and what the cluster itself runs.
resource "google_container_node_pool" "gateways" {
  name               = "gateways"
  cluster            = google_container_cluster.this.id
  initial_node_count = 1

  autoscaling {
    min_node_count = 1
    max_node_count = 2
  }

  node_config {
    machine_type    = "e2-standard-2"
    disk_size_gb    = 50
    disk_type       = "pd-balanced"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    # A start reads what it needs of an image, not all of it.
    gcfs_config {
      enabled = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

  }

  # The autoscaler's number is not Terraform's to put back.
  lifecycle {
    ignore_changes = [initial_node_count]
  }
}

# For engines, none of them while nobody asks.
resource "google_container_node_pool" "engines" {
  name               = "engines"
  cluster            = google_container_cluster.this.id
  initial_node_count = 0

  autoscaling {
    min_node_count = 0
    max_node_count = 2
  }

  node_config {
    machine_type    = "ct5lp-hightpu-8t"
    disk_size_gb    = 200
    disk_type       = "pd-balanced"
    spot            = true
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]

    # A start reads what it needs of an image, not all of it.
    gcfs_config {
      enabled = true
    }

    workload_metadata_config {
      mode = "GKE_METADATA"
    }

  }

  # The autoscaler's number is not Terraform's to put back.
  lifecycle {
    ignore_changes = [initial_node_count]
  }
}

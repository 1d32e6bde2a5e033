# Rendered by `pilotlight deploy render cloudrun`; README.md has the commands.
terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
    }
  }
}

variable "project" {
  type        = string
  description = "Google Cloud project"
}

provider "google" {
  project = var.project
  region  = "us-central1"
}

resource "google_service_account" "instance" {
  # Whoever gets into an instance gets what this may do: nothing beyond what follows.
  provider     = google
  account_id   = "pilotlight-unchecked"
  display_name = "Pilotlight unchecked"
}

resource "google_cloud_run_v2_service" "service" {
  provider             = google
  name                 = "unchecked"
  location             = "us-central1"
  ingress              = "INGRESS_TRAFFIC_INTERNAL_ONLY"
  launch_stage         = "GA"
  invoker_iam_disabled = true
  # `terraform destroy` is to leave nothing.
  deletion_protection = false
  labels              = { "managed-by" = "pilotlight" }

  template {
    labels          = { "managed-by" = "pilotlight" }
    service_account = google_service_account.instance.email
    timeout         = "300s"
    # One instance answers so many at once, in one batch: what makes it cheap.
    max_instance_request_concurrency = 16
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    scaling {
      min_instance_count = 0
      max_instance_count = 4
    }
    containers {
      image = "us-central1-docker.pkg.dev/acme/pilotlight/chat@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      ports {
        container_port = 8080
      }
      resources {
        limits = { "cpu" = "2", "memory" = "6Gi" }
        # Billed by request.
        cpu_idle          = true
        startup_cpu_boost = true
      }
      # Traffic comes once every model is loaded and has made a token.
      startup_probe {
        period_seconds    = 1
        timeout_seconds   = 1
        failure_threshold = 240
        http_get {
          path = "/ready"
          port = 8080
        }
      }
      liveness_probe {
        period_seconds    = 30
        timeout_seconds   = 10
        failure_threshold = 3
        http_get {
          path = "/health"
          port = 8080
        }
      }
      env {
        name  = "PILOTLIGHT_CONFIG_YAML"
        value = file("${path.module}/pilotlight.yaml")
      }
      env {
        name  = "PILOTLIGHT_KEYS_JSON"
        value = file("${path.module}/keys.json")
      }
    }
  }
}

output "url" {
  value = google_cloud_run_v2_service.service.uri
}

# Rendered by `pilotlight deploy render cloudrun`; README.md has the commands.
terraform {
  required_version = ">= 1.5"
  required_providers {
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 7.0"
    }
  }
}

variable "project" {
  type        = string
  description = "Google Cloud project"
}

provider "google-beta" {
  project = var.project
  region  = "us-central1"
}

resource "google_cloud_run_v2_service" "service" {
  provider             = google-beta
  name                 = "guarded"
  location             = "us-central1"
  ingress              = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  launch_stage         = "BETA"
  invoker_iam_disabled = false
  # `terraform destroy` is to leave nothing.
  deletion_protection = false
  labels              = { "managed-by" = "pilotlight" }

  template {
    labels          = { "managed-by" = "pilotlight" }
    service_account = "chat@acme.iam.gserviceaccount.com"
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
        limits = { "cpu" = "4", "memory" = "15872Mi" }
        # Billed by instance.
        cpu_idle          = false
        startup_cpu_boost = false
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
      volume_mounts {
        name       = "scratch"
        mount_path = "/tmp/pilotlight"
      }
    }
    volumes {
      name = "scratch"
      empty_dir {
        medium     = "DISK"
        size_limit = "3Gi"
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_binding" "invokers" {
  # With allUsers our API keys alone say who may ask.
  provider = google-beta
  name     = google_cloud_run_v2_service.service.name
  location = google_cloud_run_v2_service.service.location
  role     = "roles/run.invoker"
  members  = ["group:ml@example.com", "user:ann@example.com"]
}

output "url" {
  value = google_cloud_run_v2_service.service.uri
}

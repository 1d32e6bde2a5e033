output "credentials" {
  description = "What to run before kubectl"
  value       = "gcloud container clusters get-credentials ${var.name} --zone=${var.zone} --project=${var.project}"
}

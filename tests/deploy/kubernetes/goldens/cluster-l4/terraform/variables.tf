variable "project" {
  description = "Google Cloud project"
  type        = string
}

variable "name" {
  description = "Name of the cluster"
  type        = string
  default     = "pilotlight"
}

variable "zone" {
  description = "Zone of all nodes"
  type        = string
  default     = "us-central1-a"
}

variable "authorized" {
  description = "Networks that may reach the API server; none for all that have credentials"
  type        = list(string)
  default     = []
}

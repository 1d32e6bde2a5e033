# chat on AWS Lambda, rendered by `pilotlight deploy render lambda`.
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

provider "aws" {
  region = "us-east-1"
  default_tags {
    tags = {
      "pilotlight" = "chat"
    }
  }
}

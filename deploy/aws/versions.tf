terraform {
  # 1.11: a write-only argument sets the database's password, so that no state file holds it.
  required_version = ">= 1.11, < 2.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { project = var.name }
  }
}

data "aws_caller_identity" "current" {}

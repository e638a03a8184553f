variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "gata-shop"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "Use 3 to 21 small letters, digits and dashes, beginning with a letter."
  }
}

variable "region" {
  description = "The AWS region of everything here."
  type        = string
}

variable "image" {
  description = "The image of this directory's Dockerfile in a registry of this account, with its tag or digest."
  type        = string

  validation {
    condition     = can(regex("(:[^:/]+|@sha256:[0-9a-f]{64})$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name a tag (not `latest`, which cannot be rolled back to) or a digest."
  }
}

variable "repository_arn" {
  description = "The ARN of the ECR repository that holds the image."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the jobs."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets without public addresses, from which the AWS endpoints can be reached."
  type        = list(string)
}

variable "sources" {
  description = "SHOP_SOURCES: the shops whose raw files are processed."
  type        = list(string)

  validation {
    condition     = length(var.sources) > 0 && alltrue([for name in var.sources : can(regex("^[a-z0-9][a-z0-9_]{0,62}$", name))])
    error_message = "Use names of 1 to 63 of a-z 0-9 _, one at least."
  }
}

variable "masking_key_secret_arn" {
  description = "The secret whose text is MASKING_KEY (plain, 16 bytes at least, or VERSION:KEY with commas between them); created before this is applied."
  type        = string
}

variable "settings" {
  description = "Other settings of ../../example.env, such as { PARKED_DAYS = \"14\" }."
  type        = map(string)
  default     = {}
}

variable "expire_schedule" {
  description = "How often rows that wait are looked at, as EventBridge has it: a rate, or cron in UTC."
  type        = string
  default     = "rate(1 hour)"

  validation {
    condition     = can(regex("^(rate|cron)\\([^()]+\\)$", var.expire_schedule))
    error_message = "Use rate(…) or cron(…), such as rate(1 hour)."
  }
}

variable "log_level" {
  description = "LOG_LEVEL of all lines."
  type        = string
  default     = "INFO"

  validation {
    condition     = contains(["DEBUG", "INFO", "WARNING", "ERROR"], var.log_level)
    error_message = "Use DEBUG, INFO, WARNING or ERROR."
  }
}

variable "log_days" {
  description = "How long log lines are kept; one of the numbers that CloudWatch knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([7, 14, 30, 60, 90, 180, 365], var.log_days)
    error_message = "Use 7, 14, 30, 60, 90, 180 or 365."
  }
}

variable "job_vcpus" {
  description = "The vCPUs of a job; one of the numbers that Fargate knows."
  type        = number
  default     = 1
}

variable "job_memory" {
  description = "The memory of a job in MiB, one that Fargate has for job_vcpus."
  type        = number
  default     = 4096
}

variable "job_hours" {
  description = "After how many hours a try of a job is ended."
  type        = number
  default     = 2
}

variable "max_vcpus" {
  description = "How many vCPUs the jobs that run at the same time have at most."
  type        = number
  default     = 16
}

variable "data_emails" {
  description = "Who is notified of invalid data, by e-mail."
  type        = set(string)
  default     = []
}

variable "operations_emails" {
  description = "Who is notified of failed events and of alarms, by e-mail."
  type        = set(string)
  default     = []
}

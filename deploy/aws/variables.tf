variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "gata-assets"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,20}$", var.name))
    error_message = "Use 3 to 21 small letters, digits and dashes, beginning with a letter."
  }
}

variable "region" {
  description = "The AWS region, which is the ticket cluster's."
  type        = string
}

variable "image" {
  description = "The image of ../../Dockerfile in a registry of this account, with its tag or digest."
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

# ---- Network ----------------------------------------------------------------------------------------------------

variable "vpc_id" {
  description = "The VPC of everything here."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets without public addresses, in two zones at least, from which the AWS endpoints and the identity provider can be reached."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "The load balancer and the database need subnets in two zones."
  }
}

variable "ui_cidrs" {
  description = "Where the UI may be reached from: the ranges of the company's network or VPN."
  type        = set(string)

  validation {
    condition     = alltrue([for cidr in var.ui_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Name ranges such as 10.0.0.0/8; never the whole of the internet."
  }
}

variable "ui_host" {
  description = "The name of the UI, such as dagster.example.com: point it at the output `load_balancer`."
  type        = string
}

variable "certificate_arn" {
  description = "The ACM certificate of ui_host."
  type        = string
}

# ---- Login ------------------------------------------------------------------------------------------------------

variable "oidc_issuer_url" {
  description = "The OpenID Connect issuer that people log in with."
  type        = string

  validation {
    condition     = startswith(var.oidc_issuer_url, "https://")
    error_message = "Use an https:// URL."
  }
}

variable "oidc_email_domain" {
  description = "Whoever the issuer knows with an address of this domain may use the UI."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9.-]+[.][a-z]+$", var.oidc_email_domain))
    error_message = "Name one domain, such as example.com; `*` would let everybody in."
  }
}

variable "oidc_secret_arn" {
  description = "The secret with client_id, client_secret and cookie_secret (32 random bytes in URL-safe base64), as JSON."
  type        = string
}

variable "proxy_image" {
  description = "oauth2-proxy, which asks for the login, from a registry that the execution role may pull from."
  type        = string
  default     = "quay.io/oauth2-proxy/oauth2-proxy:v7.9.0"
}

# ---- Dagster's own database ---------------------------------------------------------------------------------------

variable "dagster_db_secret_arn" {
  description = "The secret whose text is the password of Dagster's own database (plain, no JSON); created before this is applied."
  type        = string
}

variable "dagster_db_password" {
  description = "What that secret says, as TF_VAR_dagster_db_password: written to the database, kept in no plan and no state."
  type        = string
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = length(var.dagster_db_password) >= 20
    error_message = "Use 20 characters at least."
  }
}

variable "dagster_db_password_version" {
  description = "Count this up after the secret has a new password: only then is it written to the database."
  type        = number
  default     = 1
}

variable "dagster_db_class" {
  description = "The size of Dagster's own database."
  type        = string
  default     = "db.t4g.small"
}

variable "dagster_db_version" {
  description = "The major version of PostgreSQL; the tests use 18."
  type        = string
  default     = "18"
}

# ---- Tickets in, training files out -------------------------------------------------------------------------------

variable "ticket_cluster_arn" {
  description = "DB_ARN: the Aurora cluster that tickets are read from through the RDS Data API."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:rds:[a-z0-9-]+:[0-9]{12}:cluster:.+$", var.ticket_cluster_arn))
    error_message = "Use the ARN of a cluster: arn:aws:rds:<region>:<account>:cluster:<name>."
  }
}

variable "ticket_secret_arn" {
  description = "DB_SECRET_ARN: the secret of a user who may read the tickets, and not the administrator's."
  type        = string
}

variable "target_bucket" {
  description = "TARGET_BUCKET: the bucket that training files are written to; it is there already."
  type        = string
}

variable "low_volume_fallback_label" {
  description = "LOW_VOLUME_FALLBACK_LABEL: the group that low-volume tickets are relabeled to."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.low_volume_fallback_label))
    error_message = "Use the number of a group."
  }
}

variable "tenants" {
  description = "TENANTS: whose interactions are prepared; each has its folder in the target bucket. Without any, it is none."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.tenants : can(regex("^[a-z0-9][a-z0-9_]{0,62}$", name))])
    error_message = "Use names of 1 to 63 of a-z 0-9 _."
  }
}

variable "tenant_roles" {
  description = "Who works on one tenant alone: by tenant, the ARNs of the users and roles that may assume its role, which sees no other tenant."
  type        = map(set(string))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.tenant_roles) : can(regex("^[a-z0-9][a-z0-9_]{0,35}$", name))])
    error_message = "Use names of 1 to 36 of a-z 0-9 _: a role's name has no more room."
  }

  validation {
    condition     = alltrue([for arns in values(var.tenant_roles) : length(arns) > 0 && alltrue([for arn in arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/", arn))])])
    error_message = "Name the ARNs of users or roles (arn:aws:iam::<account>:role/<name>), one at least for each tenant; never `*`."
  }
}

variable "rolls_up_events" {
  description = "Whether runs turn single events into raw files (new_events_sensor): they may then delete segments that were."
  type        = bool
  default     = false
}

variable "ingestion" {
  description = "The service that takes rows and events of `tenants`, from sender_cidrs, with a certificate of its name; with `kafka`, consumer and relay too (TLS; secret_arn has username and password of SCRAM as JSON, secret_kms_key_arn its key). Null: none of it."
  type = object({
    sender_cidrs       = set(string)
    certificate_arn    = string
    service_tasks      = optional(number, 2)
    most_service_tasks = optional(number, 6)
    kafka = optional(object({
      bootstrap_servers  = string
      port               = optional(number, 9096)
      security_group_id  = string
      secret_arn         = optional(string)
      secret_kms_key_arn = optional(string)
      consumer_tasks     = optional(number, 2)
    }))
  })
  default = null

  validation {
    condition     = alltrue([for cidr in try(var.ingestion.sender_cidrs, []) : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Name ranges such as 10.0.0.0/8 in sender_cidrs; never the whole of the internet."
  }

  validation {
    condition     = var.ingestion == null || length(var.tenants) > 0
    error_message = "Name the tenants that may send: each gets rights of its own."
  }

  validation {
    condition     = var.ingestion == null || try(var.ingestion.service_tasks >= 2 && var.ingestion.most_service_tasks >= var.ingestion.service_tasks, false)
    error_message = "Use 2 service_tasks at least, so that one can be replaced, and no fewer most_service_tasks."
  }
}

variable "settings" {
  description = "Other settings of ../../example.env, such as { TRAINING_PERIOD = \"60\" }."
  type        = map(string)
  default     = {}
}

variable "kms_key_arn" {
  description = "The key of the target bucket and the ticket secret; null where they have none of their own."
  type        = string
  default     = null
}

# ---- Logs ---------------------------------------------------------------------------------------------------------

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
  description = "How long log lines and what steps wrote are kept; one of the numbers that CloudWatch knows."
  type        = number
  default     = 90

  validation {
    condition     = contains([7, 14, 30, 60, 90, 180, 365], var.log_days)
    error_message = "Use 7, 14, 30, 60, 90, 180 or 365."
  }
}

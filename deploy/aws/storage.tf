# What is kept: Dagster's runs and events in PostgreSQL, what steps wrote in S3, log lines in CloudWatch.

resource "aws_db_subnet_group" "dagster" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_db_parameter_group" "dagster" {
  name   = var.name
  family = "postgres${var.dagster_db_version}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
}

resource "aws_db_instance" "dagster" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.dagster_db_version
  instance_class = var.dagster_db_class
  db_name        = "dagster"
  port           = local.database_port

  username            = local.database_user
  password_wo         = var.dagster_db_password
  password_wo_version = var.dagster_db_password_version

  allocated_storage         = 20
  max_allocated_storage     = 200
  storage_type              = "gp3"
  storage_encrypted         = true
  backup_retention_period   = 14
  deletion_protection       = true
  final_snapshot_identifier = "${var.name}-last"

  db_subnet_group_name   = aws_db_subnet_group.dagster.name
  parameter_group_name   = aws_db_parameter_group.dagster.name
  vpc_security_group_ids = [aws_security_group.database.id]
  publicly_accessible    = false
}

resource "aws_s3_bucket" "logs" {
  bucket = "${var.name}-logs-${data.aws_caller_identity.current.account_id}"
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "what steps wrote"
    status = "Enabled"

    filter {
      prefix = "dagster/"
    }

    expiration {
      days = var.log_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_cloudwatch_log_group" "part" {
  for_each = toset(concat(["webserver", "daemon", "code", "run"], keys(local.ingestion_parts)))

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_days
}

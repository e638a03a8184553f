# Raw files, curated tables and tables for analysts: a bucket each, encrypted by one key, reached by TLS alone.

locals {
  buckets = toset(["raw", "curated", "prod"])
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "TheAccountDecides"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${local.account}:root"]
    }
  }

  # What puts messages into encrypted queues and topics: rules, and alarms.
  statement {
    sid       = "RulesAndAlarmsSendMessages"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_kms_key" "shop" {
  description         = "Files, messages and logs of ${var.name}"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

resource "aws_s3_bucket" "shop" {
  for_each = local.buckets

  bucket = "${var.name}-${each.key}-${local.account}"
}

resource "aws_s3_bucket_public_access_block" "shop" {
  for_each = aws_s3_bucket.shop

  bucket                  = each.value.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "shop" {
  for_each = aws_s3_bucket.shop

  bucket = each.value.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.shop.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "shop" {
  for_each = aws_s3_bucket.shop

  bucket = each.value.id

  rule {
    id     = "unfinished uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  for_each = aws_s3_bucket.shop

  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [each.value.arn, "${each.value.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # Raw files are not masked: whoever makes tables for analysts never sees them, whatever its policies become.
  dynamic "statement" {
    for_each = each.key == "raw" ? ["publish"] : []

    content {
      sid       = "NotForTablesForAnalysts"
      effect    = "Deny"
      actions   = ["s3:*"]
      resources = [each.value.arn, "${each.value.arn}/*"]

      principals {
        type        = "AWS"
        identifiers = [aws_iam_role.job[statement.value].arn]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "shop" {
  for_each = aws_s3_bucket.shop

  bucket = each.value.id
  policy = data.aws_iam_policy_document.bucket[each.key].json

  depends_on = [aws_s3_bucket_public_access_block.shop]
}

# S3 tells EventBridge of every object; the rules choose.
resource "aws_s3_bucket_notification" "shop" {
  for_each = toset(["raw", "curated"])

  bucket      = aws_s3_bucket.shop[each.key].id
  eventbridge = true
}

resource "aws_glue_catalog_database" "shop" {
  name = replace("${var.name}_prod", "-", "_")
}

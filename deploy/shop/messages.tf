# Queues of what failed, and topics. A dead letter that cannot be processed five times goes to `unreadable`.

locals {
  kept_seconds = 14 * 24 * 3600
  # `undelivered-…`: events that EventBridge could not hand to Batch.
  queues = toset(["dead-letters", "unreadable", "undelivered-curate", "undelivered-publish"])
  topics = toset(["data", "operations"])
  emails = merge(
    { for address in var.data_emails : "data ${address}" => { topic = "data", address = address } },
    { for address in var.operations_emails : "operations ${address}" => { topic = "operations", address = address } },
  )
}

resource "aws_sqs_queue" "shop" {
  for_each = local.queues

  name                       = "${var.name}-${each.key}"
  kms_master_key_id          = aws_kms_key.shop.arn
  message_retention_seconds  = local.kept_seconds
  visibility_timeout_seconds = 3600
}

resource "aws_sqs_queue_redrive_policy" "dead_letters" {
  queue_url = aws_sqs_queue.shop["dead-letters"].id

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.shop["unreadable"].arn
    maxReceiveCount     = 5
  })
}

data "aws_iam_policy_document" "queue" {
  for_each = aws_sqs_queue.shop

  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]

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

  statement {
    sid       = "RulesSendEvents"
    actions   = ["sqs:SendMessage"]
    resources = [each.value.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_sqs_queue_policy" "shop" {
  for_each = aws_sqs_queue.shop

  queue_url = each.value.id
  policy    = data.aws_iam_policy_document.queue[each.key].json
}

resource "aws_sns_topic" "shop" {
  for_each = local.topics

  name              = "${var.name}-${each.key}"
  kms_master_key_id = aws_kms_key.shop.arn
}

data "aws_iam_policy_document" "topic" {
  for_each = aws_sns_topic.shop

  statement {
    sid       = "TlsAlone"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [each.value.arn]

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

  statement {
    sid       = "AlarmsNotify"
    actions   = ["sns:Publish"]
    resources = [each.value.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_sns_topic_policy" "shop" {
  for_each = aws_sns_topic.shop

  arn    = each.value.arn
  policy = data.aws_iam_policy_document.topic[each.key].json
}

resource "aws_sns_topic_subscription" "people" {
  for_each = local.emails

  topic_arn = aws_sns_topic.shop[each.value.topic].arn
  protocol  = "email"
  endpoint  = each.value.address
}

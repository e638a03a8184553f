# Who may do what. `curate` reads raw and writes curated, `publish` reads curated and writes prod; `replay` has both and
# takes messages from the queue. `execution` starts containers, `rules` submits jobs.

locals {
  # Which policies each job has; the files are held against what the code calls by the project's tests.
  policies_of_jobs = {
    curate  = ["curate"]
    publish = ["publish"]
    replay  = ["curate", "publish", "replay"]
  }

  policies = merge([
    for job, policies in local.policies_of_jobs : { for policy in policies : "${job} ${policy}" => { job = job, policy = policy } }
  ]...)

  filled = {
    account          = local.account
    region           = var.region
    raw              = aws_s3_bucket.shop["raw"].bucket
    curated          = aws_s3_bucket.shop["curated"].bucket
    prod             = aws_s3_bucket.shop["prod"].bucket
    queue            = aws_sqs_queue.shop["dead-letters"].name
    data_topic       = aws_sns_topic.shop["data"].name
    operations_topic = aws_sns_topic.shop["operations"].name
    database         = aws_glue_catalog_database.shop.name
    key              = aws_kms_key.shop.arn
  }
}

data "aws_iam_policy_document" "tasks_may_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role" "job" {
  for_each = local.policies_of_jobs

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tasks_may_assume.json
}

resource "aws_iam_role_policy" "job" {
  for_each = local.policies

  name   = each.value.policy
  role   = aws_iam_role.job[each.value.job].id
  policy = templatefile("${path.module}/policies/${each.value.policy}.json", local.filled)
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks_may_assume.json
}

data "aws_iam_policy_document" "execution" {
  # Knows no resources.
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "PullTheImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [var.repository_arn]
  }

  statement {
    sid       = "WriteLogLines"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.shop.arn}:*"]
  }

  statement {
    sid       = "ReadTheMaskingKey"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.masking_key_secret_arn]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-jobs"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

data "aws_iam_policy_document" "rules_may_assume" {
  statement {
    actions = ["sts:AssumeRole"]

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

resource "aws_iam_role" "rules" {
  name               = "${var.name}-rules"
  assume_role_policy = data.aws_iam_policy_document.rules_may_assume.json
}

data "aws_iam_policy_document" "rules" {
  statement {
    sid       = "SubmitJobs"
    actions   = ["batch:SubmitJob"]
    resources = concat([aws_batch_job_queue.shop.arn], [for definition in aws_batch_job_definition.shop : "${definition.arn_prefix}:*"])
  }
}

resource "aws_iam_role_policy" "rules" {
  name   = "submit-jobs"
  role   = aws_iam_role.rules.id
  policy = data.aws_iam_policy_document.rules.json
}

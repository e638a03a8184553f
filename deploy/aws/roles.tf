# Three roles. `run`, of runs and of the code location, may do what ../iam-policy.json says, and keep its log; where
# single events are rolled up, what ../iam-policy-ingestion.json says as well.
# `control`, of webserver and daemon, starts and stops runs and reads their logs, and sees neither tickets nor
# training files. `execution` is what ECS itself needs to start any of them. ingestion.tf has the roles of its parts,
# and tenants.tf those of people who work on one tenant alone.

locals {
  filled = {
    "<ACCOUNT>" = data.aws_caller_identity.current.account_id
    "<REGION>"  = var.region
    "<BUCKET>"  = var.target_bucket
    "<CLUSTER>" = element(split(":", var.ticket_cluster_arn), 6)
    "<SECRET>"  = element(split(":", var.ticket_secret_arn), 6)
    "<KEY>"     = var.kms_key_arn == null ? "<KEY>" : element(split("/", var.kms_key_arn), 1)
  }

  # Policies have one home, outside of this directory. The placeholders are filled in one by one; what is about the key
  # is left out where there is none.
  policy_files = toset(concat(["iam-policy.json", "iam-policy-ingestion.json"], values(local.ingestion_policies), values(local.tenant_policy_files)))
  policies_1   = { for name in local.policy_files : name => replace(file("${path.module}/../${name}"), "<ACCOUNT>", local.filled["<ACCOUNT>"]) }
  policies_2   = { for name, text in local.policies_1 : name => replace(text, "<REGION>", local.filled["<REGION>"]) }
  policies_3   = { for name, text in local.policies_2 : name => replace(text, "<BUCKET>", local.filled["<BUCKET>"]) }
  policies_4   = { for name, text in local.policies_3 : name => replace(text, "<CLUSTER>", local.filled["<CLUSTER>"]) }
  policies_5   = { for name, text in local.policies_4 : name => replace(text, "<SECRET>", local.filled["<SECRET>"]) }
  policies_6   = { for name, text in local.policies_5 : name => replace(text, "<KEY>", local.filled["<KEY>"]) }
  filled_statements = {
    for name, text in local.policies_6 : name => [
      for statement in jsondecode(text).Statement : statement
      if var.kms_key_arn != null || !strcontains(jsonencode(statement), "kms:")
    ]
  }

  task_arns = "arn:aws:ecs:${var.region}:${data.aws_caller_identity.current.account_id}:task/${aws_ecs_cluster.this.name}/*"
}

data "aws_iam_policy_document" "ecs_may_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "part" {
  for_each = toset(["run", "control", "execution"])

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.ecs_may_assume.json
}

resource "aws_iam_role_policy" "batch" {
  name   = "prepare-batches"
  role   = aws_iam_role.part["run"].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.filled_statements["iam-policy.json"] })
}

resource "aws_iam_role_policy" "interactions" {
  for_each = toset(var.tenants)

  name   = "prepare-interactions-${each.key}"
  role   = aws_iam_role.part["run"].id
  policy = replace(replace(file("${path.module}/../iam-policy-interactions.json"), "<BUCKET>", var.target_bucket), "<TENANT>", each.key)
}

resource "aws_iam_role_policy" "ingestion" {
  count = var.rolls_up_events ? 1 : 0

  name   = "roll-up-events"
  role   = aws_iam_role.part["run"].id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.filled_statements["iam-policy-ingestion.json"] })
}

resource "aws_iam_role_policy" "ingestion_tenant" {
  for_each = toset(var.rolls_up_events ? var.tenants : [])

  name   = "roll-up-events-${each.key}"
  role   = aws_iam_role.part["run"].id
  policy = replace(replace(file("${path.module}/../iam-policy-ingestion-tenant.json"), "<BUCKET>", var.target_bucket), "<TENANT>", each.key)
}

data "aws_iam_policy_document" "write_step_logs" {
  statement {
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/dagster/*"]
  }

  statement {
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.logs.arn]
  }
}

resource "aws_iam_role_policy" "write_step_logs" {
  name   = "write-step-logs"
  role   = aws_iam_role.part["run"].id
  policy = data.aws_iam_policy_document.write_step_logs.json
}

data "aws_iam_policy_document" "control" {
  statement {
    sid       = "ReadStepLogs"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.logs.arn}/dagster/*"]
  }

  statement {
    sid       = "LookForStepLogs"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.logs.arn]
  }

  statement {
    sid       = "StartRuns"
    actions   = ["ecs:RunTask"]
    resources = ["${aws_ecs_task_definition.run.arn_without_revision}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.this.arn]
    }
  }

  statement {
    sid       = "FollowAndStopRuns"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask", "ecs:TagResource"]
    resources = [local.task_arns]
  }

  # These two know no resources.
  statement {
    sid       = "ReadHowTasksRun"
    actions   = ["ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"]
    resources = ["*"]
  }

  statement {
    sid       = "ReadWhyARunWasLost"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.part["run"].arn}:*"]
  }

  statement {
    sid       = "HandRolesToRuns"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.part["run"].arn, aws_iam_role.part["execution"].arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "control" {
  name   = "start-and-stop-runs"
  role   = aws_iam_role.part["control"].id
  policy = data.aws_iam_policy_document.control.json
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
    resources = [for group in aws_cloudwatch_log_group.part : "${group.arn}:*"]
  }

  statement {
    sid       = "ReadSecretsOfTheParts"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = compact([var.dagster_db_secret_arn, var.oidc_secret_arn, try(local.kafka.secret_arn, null)])
  }

  # Secrets of MSK have a key of yours.
  dynamic "statement" {
    for_each = try(local.kafka.secret_kms_key_arn, null) == null ? [] : [local.kafka.secret_kms_key_arn]

    content {
      sid       = "DecryptTheSecretOfTheBrokers"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-tasks"
  role   = aws_iam_role.part["execution"].id
  policy = data.aws_iam_policy_document.execution.json
}

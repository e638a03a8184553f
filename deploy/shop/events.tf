# Which objects start which job, and a schedule for rows that wait. An event that no job can be submitted for goes to a
# queue; so does the event of a job that ended without having put it there.

locals {
  stages = {
    # EventBridge gives keys as they are, and takes few wildcards. What else matches, `gata shop process` ignores.
    curate  = { bucket = "raw", key = { wildcard = "*-raw/year=*" } }
    publish = { bucket = "curated", key = { suffix = "/manifest.json" } }
  }

  # What a rule gives to its job. Without quotes: EventBridge writes each as a text of JSON.
  parameters = "{\"Parameters\": {\"bucket\": <bucket>, \"key\": <key>, \"id\": <id>}}"
}

resource "aws_cloudwatch_event_rule" "stored" {
  for_each = local.stages

  name        = "${var.name}-${each.key}"
  description = "Objects in ${each.value.bucket} that `gata shop process` is started for"

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [aws_s3_bucket.shop[each.value.bucket].bucket] }
      object = { key = [each.value.key] }
    }
  })
}

resource "aws_cloudwatch_event_target" "job" {
  for_each = local.stages

  rule     = aws_cloudwatch_event_rule.stored[each.key].name
  arn      = aws_batch_job_queue.shop.arn
  role_arn = aws_iam_role.rules.arn

  batch_target {
    job_definition = aws_batch_job_definition.shop[each.key].arn
    job_name       = "${var.name}-${each.key}"
  }

  input_transformer {
    input_paths = {
      bucket = "$.detail.bucket.name"
      key    = "$.detail.object.key"
      id     = "$.id"
    }
    input_template = local.parameters
  }

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.shop["undelivered-${each.key}"].arn
  }
}

# Rows that wait are judged again when their time is up, also if no file arrives any more.
resource "aws_cloudwatch_event_rule" "expire" {
  name                = "${var.name}-expire"
  description         = "When `gata shop process` looks for rows that have waited long enough"
  schedule_expression = var.expire_schedule
}

resource "aws_cloudwatch_event_target" "expire" {
  rule     = aws_cloudwatch_event_rule.expire.name
  arn      = aws_batch_job_queue.shop.arn
  role_arn = aws_iam_role.rules.arn

  # What is rewritten are curated tables, and their manifests start `publish`.
  batch_target {
    job_definition = aws_batch_job_definition.shop["curate"].arn
    job_name       = "${var.name}-expire"
  }

  # The bucket is `aws.events`, and the key is the rule.
  input_transformer {
    input_paths = {
      bucket = "$.source"
      key    = "$.resources[0]"
      id     = "$.id"
    }
    input_template = local.parameters
  }

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.shop["undelivered-curate"].arn
  }
}

resource "aws_cloudwatch_event_rule" "failed" {
  name        = "${var.name}-failed"
  description = "Jobs that failed without having put their event into the dead-letter queue"

  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job State Change"]
    detail = {
      jobQueue   = [aws_batch_job_queue.shop.arn]
      status     = ["FAILED"]
      parameters = { bucket = [{ exists = true }] }
      # None where the container never started.
      container = { exitCode = [{ anything-but = [3] }, { exists = false }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "dead_letters" {
  rule = aws_cloudwatch_event_rule.failed.name
  arn  = aws_sqs_queue.shop["dead-letters"].arn

  input_transformer {
    input_paths = {
      bucket = "$.detail.parameters.bucket"
      key    = "$.detail.parameters.key"
      id     = "$.detail.parameters.id"
    }
    input_template = "{\"bucket\": <bucket>, \"key\": <key>, \"event_type\": \"batch-job-failed\", \"id\": <id>, \"error\": \"JobFailed\"}"
  }
}

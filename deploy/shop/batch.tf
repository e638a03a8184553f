# What runs: a job for each event, on Fargate, by the image's `gata shop …`.

locals {
  environment = merge(var.settings, {
    AWS_DEFAULT_REGION        = var.region
    LOG_LEVEL                 = var.log_level
    SHOP_SOURCES              = join(",", var.sources)
    SHOP_RAW_BUCKET           = aws_s3_bucket.shop["raw"].bucket
    SHOP_CURATED_BUCKET       = aws_s3_bucket.shop["curated"].bucket
    SHOP_PROD_BUCKET          = aws_s3_bucket.shop["prod"].bucket
    SHOP_KMS_KEY              = aws_kms_key.shop.arn
    SHOP_GLUE_DATABASE        = aws_glue_catalog_database.shop.name
    SHOP_DLQ_URL              = aws_sqs_queue.shop["dead-letters"].url
    SHOP_DATA_TOPIC_ARN       = aws_sns_topic.shop["data"].arn
    SHOP_OPERATIONS_TOPIC_ARN = aws_sns_topic.shop["operations"].arn
  })

  # A rule gives the parameters, and Batch puts each in the place of its `Ref::`, as one word.
  process = ["shop", "process", "--bucket", "Ref::bucket", "--key", "Ref::key", "--request-id", "Ref::id"]
  jobs = {
    curate  = { command = local.process, has_masking_key = true }
    publish = { command = local.process, has_masking_key = false }
    replay  = { command = ["shop", "replay"], has_masking_key = true }
  }
}

resource "aws_cloudwatch_log_group" "shop" {
  name              = "/${var.name}/jobs"
  retention_in_days = var.log_days
}

resource "aws_security_group" "jobs" {
  name        = "${var.name}-jobs"
  description = "Jobs of the shop: nothing in, HTTPS out"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_endpoints" {
  security_group_id = aws_security_group.jobs.id
  description       = "HTTPS to the AWS endpoints"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_batch_compute_environment" "shop" {
  compute_environment_name = var.name
  type                     = "MANAGED"

  compute_resources {
    type               = "FARGATE"
    max_vcpus          = var.max_vcpus
    subnets            = var.private_subnet_ids
    security_group_ids = [aws_security_group.jobs.id]
  }
}

resource "aws_batch_job_queue" "shop" {
  name     = var.name
  state    = "ENABLED"
  priority = 1

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.shop.arn
  }
}

resource "aws_batch_job_definition" "shop" {
  for_each = local.jobs

  name                  = "${var.name}-${each.key}"
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true

  container_properties = jsonencode({
    image            = var.image
    command          = each.value.command
    jobRoleArn       = aws_iam_role.job[each.key].arn
    executionRoleArn = aws_iam_role.execution.arn
    user             = "10001:10001"
    resourceRequirements = [
      { type = "VCPU", value = tostring(var.job_vcpus) },
      { type = "MEMORY", value = tostring(var.job_memory) },
    ]
    networkConfiguration = { assignPublicIp = "DISABLED" }
    linuxParameters      = { initProcessEnabled = true }
    environment          = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    secrets              = [for name in each.value.has_masking_key ? ["MASKING_KEY"] : [] : { name = name, valueFrom = var.masking_key_secret_arn }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.shop.name
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  })

  timeout {
    attempt_duration_seconds = var.job_hours * 3600
  }

  # 3: the event is in the dead-letter queue. 2: a setting or the event is wrong, which is so at the next try too.
  # Everything else, a crash for example, is tried again.
  retry_strategy {
    attempts = 3

    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "3"
    }

    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "2"
    }

    evaluate_on_exit {
      action    = "RETRY"
      on_reason = "*"
    }
  }
}

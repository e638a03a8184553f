# `terraform test`: plans and applies all of it against a provider that is stood in for; no account is needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\": \"2012-10-17\", \"Statement\": []}" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/part" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-west-1:123456789012:queue"
      id  = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue"
      url = "https://sqs.eu-west-1.amazonaws.com/123456789012/queue"
    }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:topic" }
  }

  mock_resource "aws_batch_compute_environment" {
    defaults = { arn = "arn:aws:batch:eu-west-1:123456789012:compute-environment/shop" }
  }

  mock_resource "aws_batch_job_queue" {
    defaults = { arn = "arn:aws:batch:eu-west-1:123456789012:job-queue/shop" }
  }

  mock_resource "aws_batch_job_definition" {
    defaults = { arn = "arn:aws:batch:eu-west-1:123456789012:job-definition/shop:1" }
  }
}

variables {
  region                 = "eu-west-1"
  image                  = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/gata-shop:0.1.0"
  repository_arn         = "arn:aws:ecr:eu-west-1:123456789012:repository/gata-shop"
  vpc_id                 = "vpc-1"
  private_subnet_ids     = ["subnet-1", "subnet-2"]
  sources                = ["ecommerce"]
  masking_key_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:masking-A1b2C3"
  operations_emails      = ["operations@example.com"]
}

run "each_job_has_its_own_policies" {
  assert {
    condition     = !strcontains(aws_iam_role_policy.job["publish publish"].policy, "gata-shop-raw-")
    error_message = "The role of prod may reach raw files."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.job["curate curate"].policy, "gata-shop-prod-") && !strcontains(aws_iam_role_policy.job["curate curate"].policy, "Delete")
    error_message = "The role of curated may reach prod, or deletes."
  }

  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.job : !strcontains(policy.policy, "$")])
    error_message = "A placeholder is left."
  }
}

run "only_who_masks_has_the_masking_key" {
  assert {
    condition     = !strcontains(aws_batch_job_definition.shop["publish"].container_properties, "MASKING_KEY") && strcontains(aws_batch_job_definition.shop["curate"].container_properties, "MASKING_KEY")
    error_message = "The masking key is with the wrong job."
  }
}

run "every_queue_has_an_alarm" {
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.messages)) == toset(keys(aws_sqs_queue.shop))
    error_message = "A queue has no alarm."
  }
}

run "a_schedule_starts_the_job_that_writes_curated_tables" {
  assert {
    condition     = aws_cloudwatch_event_rule.expire.schedule_expression == "rate(1 hour)"
    error_message = "Rows that wait are not looked at once an hour."
  }

  assert {
    condition     = aws_cloudwatch_event_target.expire.input_transformer[0].input_template == aws_cloudwatch_event_target.job["curate"].input_transformer[0].input_template
    error_message = "Its job gets other parameters than those of files."
  }
}

run "a_schedule_that_eventbridge_does_not_know_is_refused" {
  command = plan

  variables {
    expire_schedule = "hourly"
  }

  expect_failures = [var.expire_schedule]
}

run "an_image_that_moves_is_refused" {
  command = plan

  variables {
    image = "gata-shop:latest"
  }

  expect_failures = [var.image]
}

run "a_shop_has_a_name" {
  command = plan

  variables {
    sources = []
  }

  expect_failures = [var.sources]
}

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

  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/ui/1" }
  }

  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/ui/1" }
  }

  mock_resource "aws_lb_listener" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/ui/1/2" }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/part:1" }
  }

  mock_resource "aws_service_discovery_service" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-1:123456789012:service/code" }
  }
}

variables {
  region                    = "eu-west-1"
  image                     = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/gata-assets:0.1.0"
  repository_arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/gata-assets"
  vpc_id                    = "vpc-1"
  private_subnet_ids        = ["subnet-1", "subnet-2"]
  ui_cidrs                  = ["10.0.0.0/8"]
  ui_host                   = "dagster.example.com"
  certificate_arn           = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
  oidc_issuer_url           = "https://login.example.com"
  oidc_email_domain         = "example.com"
  oidc_secret_arn           = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dagster-login-A1b2C3"
  dagster_db_secret_arn     = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:dagster-db-A1b2C3"
  dagster_db_password       = "a-stand-in-of-some-length"
  ticket_cluster_arn        = "arn:aws:rds:eu-west-1:123456789012:cluster:gata"
  ticket_secret_arn         = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:gata-reader-A1b2C3"
  target_bucket             = "my-training-data"
  low_volume_fallback_label = "25000000000101"
}

run "the_role_of_runs_has_the_policy_of_a_batch_and_may_not_delete" {
  assert {
    condition     = !strcontains(aws_iam_role_policy.batch.policy, "Delete") && !strcontains(aws_iam_role_policy.batch.policy, "<")
    error_message = "The policy deletes, or a placeholder is left."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.batch.policy, var.ticket_cluster_arn) && strcontains(aws_iam_role_policy.batch.policy, var.ticket_secret_arn)
    error_message = "The policy is about another cluster or secret than the settings."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.batch.policy, "kms:")
    error_message = "There is no key, and a statement about one."
  }
}

run "a_key_is_in_the_policy_where_there_is_one" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.batch.policy, var.kms_key_arn)
    error_message = "The policy does not know the key."
  }
}

run "runs_may_roll_up_events_where_they_are_to" {
  variables {
    tenants         = ["acme"]
    rolls_up_events = true
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.ingestion[0].policy, "${var.target_bucket}/ingestion/segments/") && !strcontains(aws_iam_role_policy.ingestion[0].policy, "<")
    error_message = "The policy is about another bucket, or a placeholder is left."
  }

  assert {
    condition     = strcontains(aws_iam_role_policy.ingestion_tenant["acme"].policy, "${var.target_bucket}/acme/raw/")
    error_message = "Raw files of the tenant cannot be written."
  }
}

run "runs_may_delete_nothing_where_there_are_no_events" {
  assert {
    condition     = length(aws_iam_role_policy.ingestion) == 0 && length(aws_iam_role_policy.ingestion_tenant) == 0
    error_message = "The role of runs has rights that nothing needs."
  }
}

run "who_works_on_one_tenant_has_a_role_that_names_no_other" {
  variables {
    tenant_roles = {
      acme   = ["arn:aws:iam::123456789012:role/acme-engineers"]
      globex = ["arn:aws:iam::123456789012:user/globex"]
    }
  }

  assert {
    condition     = keys(aws_iam_role.tenant) == ["acme", "globex"] && keys(aws_iam_role_policy.tenant) == ["privacy-acme", "privacy-globex", "work-acme", "work-globex"]
    error_message = "A tenant has not its role and its two policies."
  }

  assert {
    condition     = alltrue([for name, one in aws_iam_role_policy.tenant : strcontains(one.policy, "${var.target_bucket}/${split("-", name)[1]}/") && !strcontains(one.policy, split("-", name)[1] == "acme" ? "globex" : "acme")])
    error_message = "A policy is about another tenant or bucket."
  }

  assert {
    condition     = alltrue([for one in values(aws_iam_role_policy.tenant) : !strcontains(one.policy, "u003c") && !strcontains(one.policy, "kms:")])
    error_message = "A placeholder is left, or there is no key, and a statement about one."
  }
}

run "without_ingestion_there_is_nothing_of_it" {
  assert {
    condition     = length(aws_ecs_service.ingestion) == 0 && length(aws_iam_role.ingestion) == 0 && length(aws_lb.service) == 0
    error_message = "There is a part that nobody asked for."
  }
}

run "without_kafka_there_is_the_service_alone" {
  variables {
    tenants   = ["acme"]
    ingestion = { sender_cidrs = ["10.0.0.0/8"], certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/2" }
  }

  assert {
    condition     = keys(aws_ecs_service.ingestion) == ["service"] && length(aws_vpc_security_group_egress_rule.ingestion_to_brokers) == 0
    error_message = "There are parts without Kafka."
  }

  assert {
    condition     = aws_lb.service[0].internal && aws_ecs_service.ingestion["service"].desired_count == 2
    error_message = "The service is reached from outside, or there is one task of it."
  }
}

run "with_kafka_each_part_has_its_own_role_and_the_login_of_the_brokers" {
  variables {
    tenants     = ["acme", "globex"]
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd"
    ingestion = {
      sender_cidrs    = ["10.0.0.0/8"]
      certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/2"
      kafka = {
        bootstrap_servers  = "b-1.example.com:9096"
        security_group_id  = "sg-1"
        secret_arn         = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:AmazonMSK_gata-A1b2C3"
        secret_kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/5678abcd"
      }
    }
  }

  assert {
    condition     = keys(aws_iam_role_policy.ingestion_part) == ["consumer", "relay", "service"] && keys(aws_iam_role_policy.ingestion_part_tenant) == ["relay-acme", "relay-globex", "service-acme", "service-globex"]
    error_message = "A part has the policies of others."
  }

  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.ingestion_part : !strcontains(policy.policy, "<") && strcontains(policy.policy, var.kms_key_arn)])
    error_message = "A placeholder is left, or the key is missing."
  }

  assert {
    condition     = [for one in jsondecode(aws_ecs_task_definition.ingestion["consumer"].container_definitions)[0].secrets : one.name] == ["KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"]
    error_message = "The login of the brokers is missing, or Dagster's password is there."
  }

  assert {
    condition     = aws_ecs_service.ingestion["relay"].deployment_maximum_percent == 100
    error_message = "Two relays run at once."
  }
}

run "senders_of_the_whole_internet_are_refused" {
  command = plan

  variables {
    tenants   = ["acme"]
    ingestion = { sender_cidrs = ["0.0.0.0/0"], certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/2" }
  }

  expect_failures = [var.ingestion]
}

run "the_ui_listens_on_loopback_beside_its_login" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.part["webserver"].container_definitions)[0].command[1] == "127.0.0.1"
    error_message = "The webserver can be reached without the login."
  }

  assert {
    condition     = [for one in jsondecode(aws_ecs_task_definition.part["webserver"].container_definitions) : one.name] == ["webserver", "login"]
    error_message = "The login is not beside the webserver."
  }
}

run "runs_have_the_size_of_the_workflows_task_and_a_command_of_the_launchers" {
  assert {
    condition     = aws_ecs_task_definition.run.cpu == "1024" && aws_ecs_task_definition.run.memory == "4096"
    error_message = "Not the size that the measurements are about."
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.run.container_definitions)[0].entryPoint == ["env"]
    error_message = "The image's own entry point would take the launcher's command for a batch ID."
  }
}

run "the_internet_is_refused" {
  command = plan

  variables {
    ui_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.ui_cidrs]
}

run "an_image_without_a_version_is_refused" {
  command = plan

  variables {
    image = "gata-assets:latest"
  }

  expect_failures = [var.image]
}

run "a_login_for_everybody_is_refused" {
  command = plan

  variables {
    oidc_email_domain = "*"
  }

  expect_failures = [var.oidc_email_domain]
}

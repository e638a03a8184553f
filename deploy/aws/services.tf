# What runs: webserver (behind its login), daemon and code location as services; the task that each run is started as.

locals {
  proxy_port    = 4180
  code_port     = 4000
  database_port = 5432
  database_user = "dagster"
  redirect_url  = "https://${var.ui_host}/oauth2/callback"
  home          = "/srv/gata/aws"

  # Runs that roll up keep what the relay has not produced yet: that there is Kafka is all that they know of it.
  environment = merge(var.settings, local.has_kafka ? { KAFKA_BOOTSTRAP_SERVERS = local.kafka.bootstrap_servers } : {}, {
    AWS_DEFAULT_REGION        = var.region
    LOG_LEVEL                 = var.log_level
    DB_ARN                    = var.ticket_cluster_arn
    DB_SECRET_ARN             = var.ticket_secret_arn
    TARGET_BUCKET             = var.target_bucket
    LOW_VOLUME_FALLBACK_LABEL = var.low_volume_fallback_label
    TENANTS                   = length(var.tenants) > 0 ? join(",", var.tenants) : "none"
    DAGSTER_HOME              = local.home
    DAGSTER_PG_HOST           = aws_db_instance.dagster.address
    DAGSTER_PG_PORT           = tostring(local.database_port)
    DAGSTER_PG_DB             = aws_db_instance.dagster.db_name
    DAGSTER_PG_USER           = local.database_user
    DAGSTER_LOGS_BUCKET       = aws_s3_bucket.logs.bucket
    DAGSTER_RUN_TASK          = "${var.name}-run"
    DAGSTER_CLUSTER           = aws_ecs_cluster.this.name
    GATA_CODE_HOST            = "${aws_service_discovery_service.code.name}.${aws_service_discovery_private_dns_namespace.inside.name}"
    GATA_CODE_PORT            = tostring(local.code_port)
  })

  # What all containers of the image have in common.
  container = {
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true }
    stopTimeout            = 60
    environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    secrets                = [{ name = "DAGSTER_PG_PASSWORD", valueFrom = var.dagster_db_secret_arn }]
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
  }

  logs = {
    for name, group in aws_cloudwatch_log_group.part : name => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = group.name
        awslogs-region        = var.region
        awslogs-stream-prefix = name
      }
    }
  }

  # The image's entry point is for a batch ID, so each part names its own program.
  parts = {
    webserver = {
      cpu        = 512
      memory     = 2048
      role       = "control"
      entryPoint = ["dagster-webserver"]
      # On loopback: only the login beside it is reached from outside.
      command = ["-h", "127.0.0.1", "-p", "3000", "-w", "${local.home}/workspace.yaml", "--log-format", "json"]
    }
    daemon = {
      cpu        = 512
      memory     = 2048
      role       = "control"
      entryPoint = ["dagster-daemon"]
      command    = ["run", "-w", "${local.home}/workspace.yaml", "--log-format", "json"]
    }
    code = {
      cpu        = 512
      memory     = 2048
      role       = "run"
      entryPoint = ["dagster"]
      command = [
        "api", "grpc", "-h", "0.0.0.0", "-p", tostring(local.code_port), "-m", "gata_assets.definitions", "-a", "defs",
        "--location-name", "gata_assets", "--container-image", var.image, "--log-format", "json",
      ]
    }
  }

  login = {
    name      = "login"
    image     = var.proxy_image
    essential = true
    environment = [
      { name = "OAUTH2_PROXY_HTTP_ADDRESS", value = "0.0.0.0:${local.proxy_port}" },
      { name = "OAUTH2_PROXY_UPSTREAMS", value = "http://127.0.0.1:3000" },
      { name = "OAUTH2_PROXY_PROVIDER", value = "oidc" },
      { name = "OAUTH2_PROXY_OIDC_ISSUER_URL", value = var.oidc_issuer_url },
      { name = "OAUTH2_PROXY_REDIRECT_URL", value = local.redirect_url },
      { name = "OAUTH2_PROXY_EMAIL_DOMAINS", value = var.oidc_email_domain },
      { name = "OAUTH2_PROXY_COOKIE_SECURE", value = "true" },
      { name = "OAUTH2_PROXY_REVERSE_PROXY", value = "true" },
      { name = "OAUTH2_PROXY_SKIP_PROVIDER_BUTTON", value = "true" },
    ]
    secrets = [
      for name in ["client_id", "client_secret", "cookie_secret"] :
      { name = "OAUTH2_PROXY_${upper(name)}", valueFrom = "${var.oidc_secret_arn}:${name}::" }
    ]
    portMappings     = [{ containerPort = local.proxy_port }]
    logConfiguration = local.logs["webserver"]
  }
}

resource "aws_ecs_cluster" "this" {
  name = var.name
}

resource "aws_ecs_task_definition" "part" {
  for_each = local.parts

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.part["execution"].arn
  task_role_arn            = aws_iam_role.part[each.value.role].arn

  container_definitions = jsonencode(concat(
    [merge(local.container, {
      name             = each.key
      entryPoint       = each.value.entryPoint
      command          = each.value.command
      portMappings     = [for port in each.key == "code" ? [local.code_port] : [] : { containerPort = port }]
      logConfiguration = local.logs[each.key]
    })],
    [for login in each.key == "webserver" ? [local.login] : [] : login],
  ))

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_task_definition" "run" {
  family                   = "${var.name}-run"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  # As ../ecs-task-definition.json.
  cpu                = 1024
  memory             = 4096
  execution_role_arn = aws_iam_role.part["execution"].arn
  task_role_arn      = aws_iam_role.part["run"].arn

  container_definitions = jsonencode([merge(local.container, {
    name = "run"
    # The launcher gives a whole command, `dagster api execute_run …`; `env` is a program that runs what it is given.
    entryPoint       = ["env"]
    command          = ["dagster", "--version"]
    logConfiguration = local.logs["run"]
  })])

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "part" {
  for_each = local.parts

  name            = each.key
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.part[each.key].arn
  launch_type     = "FARGATE"
  desired_count   = 1

  # Never two daemons; and one code location at a time, so that all speak of the same code.
  deployment_minimum_healthy_percent = each.key == "webserver" ? 100 : 0
  deployment_maximum_percent         = each.key == "webserver" ? 200 : 100

  # An image that does not start is taken back.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.key == "webserver" ? [aws_lb_target_group.ui.arn] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = "login"
      container_port   = local.proxy_port
    }
  }

  dynamic "service_registries" {
    for_each = each.key == "code" ? [aws_service_discovery_service.code.arn] : []

    content {
      registry_arn = service_registries.value
    }
  }

  depends_on = [aws_lb_listener.ui, aws_iam_role_policy.execution]
}

# What takes rows and events, where `ingestion` says so: the service behind a load balancer of its own; consumer and
# relay where there is Kafka. The brokers are yours (MSK, say). Runs roll up (`rolls_up_events`).

locals {
  service_port = 8002
  has_service  = var.ingestion != null
  has_kafka    = local.has_service && try(var.ingestion.kafka, null) != null
  kafka        = local.has_kafka ? var.ingestion.kafka : null

  # `path` is what the health check of ECS asks for.
  ingestion_parts = {
    for name, part in {
      service = {
        count   = try(var.ingestion.service_tasks, 0)
        cpu     = 1024
        memory  = 2048
        port    = local.service_port
        path    = "/health"
        command = ["serve", "--host", "0.0.0.0", "--port", tostring(local.service_port), "--json"]
      }
      consumer = {
        count   = try(var.ingestion.kafka.consumer_tasks, 0)
        cpu     = 512
        memory  = 1024
        port    = 8003
        path    = "/metrics"
        command = ["consume", "--json"]
      }
      relay = {
        count   = 1
        cpu     = 512
        memory  = 1024
        port    = 8004
        path    = "/metrics"
        command = ["publish", "--metrics", "8004", "--json"]
      }
    } : name => part if name == "service" ? local.has_service : local.has_kafka
  }

  kafka_environment = local.has_kafka ? merge(
    {
      KAFKA_BOOTSTRAP_SERVERS = local.kafka.bootstrap_servers
      KAFKA_SECURITY_PROTOCOL = local.kafka.secret_arn == null ? "SSL" : "SASL_SSL"
      KAFKA_METRICS_HOST      = "0.0.0.0"
    },
    local.kafka.secret_arn == null ? {} : { KAFKA_SASL_MECHANISM = "SCRAM-SHA-512" },
  ) : {}

  ingestion_environment = merge(var.settings, local.kafka_environment, {
    AWS_DEFAULT_REGION = var.region
    LOG_LEVEL          = var.log_level
    TARGET_BUCKET      = var.target_bucket
    TENANTS            = join(",", var.tenants)
  })

  # Neither the ticket database nor Dagster's is known here.
  ingestion_container = merge(local.container, {
    environment = [for name in sort(keys(local.ingestion_environment)) : { name = name, value = local.ingestion_environment[name] }]
    secrets = [
      for name in try(local.kafka.secret_arn, null) == null ? [] : ["username", "password"] :
      { name = "KAFKA_SASL_${upper(name)}", valueFrom = "${local.kafka.secret_arn}:${name}::" }
    ]
  })

  # The policies of ../README.md, by role: what is for all tenants, and what each tenant adds.
  ingestion_policies        = { for name in keys(local.ingestion_parts) : name => "iam-policy-ingestion-${name}.json" }
  ingestion_tenant_policies = ["service", "relay"]
}

resource "aws_iam_role" "ingestion" {
  for_each = local.ingestion_parts

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.ecs_may_assume.json
}

resource "aws_iam_role_policy" "ingestion_part" {
  for_each = local.ingestion_policies

  name = each.key
  role = aws_iam_role.ingestion[each.key].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.filled_statements[each.value]
  })
}

resource "aws_iam_role_policy" "ingestion_part_tenant" {
  for_each = {
    for pair in setproduct(setintersection(keys(local.ingestion_parts), local.ingestion_tenant_policies), var.tenants) :
    "${pair[0]}-${pair[1]}" => { part = pair[0], tenant = pair[1] }
  }

  name   = each.key
  role   = aws_iam_role.ingestion[each.value.part].id
  policy = replace(replace(file("${path.module}/../iam-policy-ingestion-${each.value.part}-tenant.json"), "<BUCKET>", var.target_bucket), "<TENANT>", each.value.tenant)
}

resource "aws_ecs_task_definition" "ingestion" {
  for_each = local.ingestion_parts

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  execution_role_arn       = aws_iam_role.part["execution"].arn
  task_role_arn            = aws_iam_role.ingestion[each.key].arn

  container_definitions = jsonencode([merge(local.ingestion_container, {
    name         = each.key
    entryPoint   = ["gata"]
    command      = each.value.command
    portMappings = [{ containerPort = each.value.port }]
    healthCheck = {
      command     = ["CMD", "python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:${each.value.port}${each.value.path}')"]
      interval    = 15
      timeout     = 10
      startPeriod = 60
    }
    logConfiguration = local.logs[each.key]
  })])

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "ingestion" {
  for_each = local.ingestion_parts

  name            = each.key
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.ingestion[each.key].arn
  launch_type     = "FARGATE"
  desired_count   = each.value.count

  # One relay: two repeat messages. Of the others, new tasks take over before old ones leave.
  deployment_minimum_healthy_percent = each.key == "relay" ? 0 : 100
  deployment_maximum_percent         = each.key == "relay" ? 100 : 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.ingestion[0].id]
    assign_public_ip = false
  }

  dynamic "load_balancer" {
    for_each = each.key == "service" ? [aws_lb_target_group.service[0].arn] : []

    content {
      target_group_arn = load_balancer.value
      container_name   = each.key
      container_port   = local.service_port
    }
  }

  depends_on = [aws_lb_listener.service, aws_iam_role_policy.execution]

  # Autoscaling changes it, and who sees a lag.
  lifecycle {
    ignore_changes = [desired_count]
  }
}

resource "aws_appautoscaling_target" "service" {
  count = local.has_service ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.ingestion["service"].name}"
  min_capacity       = var.ingestion.service_tasks
  max_capacity       = var.ingestion.most_service_tasks
}

resource "aws_appautoscaling_policy" "service" {
  count = local.has_service ? 1 : 0

  name               = "${var.name}-service-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.service[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.service[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.service[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = 60

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

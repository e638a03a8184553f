# Who may talk to whom. Nothing is reached from the internet; out goes HTTPS alone, to AWS and the identity provider.

resource "aws_security_group" "load_balancer" {
  name        = "${var.name}-load-balancer"
  description = "The UI, from the company network"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "tasks" {
  name        = "${var.name}-tasks"
  description = "Webserver, daemon, code location and runs"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "Dagster's own database"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "people_to_ui" {
  for_each = var.ui_cidrs

  security_group_id = aws_security_group.load_balancer.id
  description       = "HTTPS from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

locals {
  # From, to and port of what goes on inside.
  inside = {
    ui_to_proxy       = [aws_security_group.load_balancer.id, aws_security_group.tasks.id, local.proxy_port]
    tasks_to_code     = [aws_security_group.tasks.id, aws_security_group.tasks.id, local.code_port]
    tasks_to_database = [aws_security_group.tasks.id, aws_security_group.database.id, local.database_port]
  }
}

resource "aws_vpc_security_group_ingress_rule" "inside" {
  for_each = local.inside

  security_group_id            = each.value[1]
  referenced_security_group_id = each.value[0]
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value[2]
  to_port                      = each.value[2]
}

resource "aws_vpc_security_group_egress_rule" "inside" {
  for_each = local.inside

  security_group_id            = each.value[0]
  referenced_security_group_id = each.value[1]
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = each.value[2]
  to_port                      = each.value[2]
}

resource "aws_vpc_security_group_egress_rule" "tasks_to_endpoints" {
  security_group_id = aws_security_group.tasks.id
  description       = "HTTPS to the AWS endpoints and the identity provider"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# The code location has a name, by which webserver and daemon find it.
resource "aws_service_discovery_private_dns_namespace" "inside" {
  name = "${var.name}.internal"
  vpc  = var.vpc_id
}

resource "aws_service_discovery_service" "code" {
  name = "code"

  dns_config {
    namespace_id = aws_service_discovery_private_dns_namespace.inside.id

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_lb" "ui" {
  name                       = var.name
  internal                   = true
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.load_balancer.id]
  subnets                    = var.private_subnet_ids
  drop_invalid_header_fields = true
  # The UI's subscriptions are websockets that stay open.
  idle_timeout = 600
}

resource "aws_lb_target_group" "ui" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = local.proxy_port

  health_check {
    path = "/ping"
  }
}

resource "aws_lb_listener" "ui" {
  load_balancer_arn = aws_lb.ui.arn
  protocol          = "HTTPS"
  port              = 443
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.ui.arn
  }
}

# Who may talk to the parts of ingestion: senders to the load balancer, it to the service; out to AWS and the brokers.

resource "aws_security_group" "senders" {
  count = local.has_service ? 1 : 0

  name        = "${var.name}-senders"
  description = "The service, from those who send"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "ingestion" {
  count = local.has_service ? 1 : 0

  name        = "${var.name}-ingestion"
  description = "Service, consumer and relay"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "senders" {
  for_each = local.has_service ? var.ingestion.sender_cidrs : []

  security_group_id = aws_security_group.senders[0].id
  description       = "HTTPS from ${each.value}"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "senders_to_service" {
  count = local.has_service ? 1 : 0

  security_group_id            = aws_security_group.senders[0].id
  referenced_security_group_id = aws_security_group.ingestion[0].id
  description                  = "senders_to_service"
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

resource "aws_vpc_security_group_ingress_rule" "senders_to_service" {
  count = local.has_service ? 1 : 0

  security_group_id            = aws_security_group.ingestion[0].id
  referenced_security_group_id = aws_security_group.senders[0].id
  description                  = "senders_to_service"
  ip_protocol                  = "tcp"
  from_port                    = local.service_port
  to_port                      = local.service_port
}

resource "aws_vpc_security_group_egress_rule" "ingestion_to_endpoints" {
  count = local.has_service ? 1 : 0

  security_group_id = aws_security_group.ingestion[0].id
  description       = "HTTPS to the AWS endpoints"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

# The group of the brokers has to let this one in: it is yours, as they are.
resource "aws_vpc_security_group_egress_rule" "ingestion_to_brokers" {
  count = local.has_kafka ? 1 : 0

  security_group_id            = aws_security_group.ingestion[0].id
  referenced_security_group_id = local.kafka.security_group_id
  description                  = "ingestion_to_brokers"
  ip_protocol                  = "tcp"
  from_port                    = local.kafka.port
  to_port                      = local.kafka.port
}

resource "aws_lb" "service" {
  count = local.has_service ? 1 : 0

  name                       = "${var.name}-service"
  internal                   = true
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.senders[0].id]
  subnets                    = var.private_subnet_ids
  drop_invalid_header_fields = true
  # A large file is validated before it is answered.
  idle_timeout = 600
}

resource "aws_lb_target_group" "service" {
  count = local.has_service ? 1 : 0

  name                 = "${var.name}-service"
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.service_port
  deregistration_delay = 60

  # 200 while the process works, also while the target or a broker is away: another task would have neither.
  health_check {
    path = "/health"
  }
}

resource "aws_lb_listener" "service" {
  count = local.has_service ? 1 : 0

  load_balancer_arn = aws_lb.service[0].arn
  protocol          = "HTTPS"
  port              = 443
  certificate_arn   = var.ingestion.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.service[0].arn
  }
}

# The names of tables and rules are for those inside.
resource "aws_lb_listener_rule" "metrics" {
  count = local.has_service ? 1 : 0

  listener_arn = aws_lb_listener.service[0].arn
  priority     = 1

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }

  condition {
    path_pattern {
      values = ["/metrics"]
    }
  }
}

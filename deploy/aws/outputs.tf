output "load_balancer" {
  description = "What ui_host has to point at."
  value       = aws_lb.ui.dns_name
}

output "service_load_balancer" {
  description = "What the name of the service has to point at; null without `ingestion`."
  value       = one(aws_lb.service[*].dns_name)
}

output "ingestion_security_group" {
  description = "What the group of the brokers has to let in; null without `ingestion`."
  value       = one(aws_security_group.ingestion[*].id)
}

output "oidc_redirect_url" {
  description = "What the identity provider has to know as the redirect URL."
  value       = local.redirect_url
}

output "cluster" {
  description = "The ECS cluster, for `aws ecs update-service`."
  value       = aws_ecs_cluster.this.name
}

output "run_role_arn" {
  description = "The role of runs and of the code location; give it access where a policy of the bucket or the key asks for that."
  value       = aws_iam_role.part["run"].arn
}

output "tenant_role_arns" {
  description = "The roles of those who work on one tenant alone, by tenant; give them access where a policy of the bucket or the key asks for that."
  value       = { for tenant, role in aws_iam_role.tenant : tenant => role.arn }
}

output "log_groups" {
  description = "Where the parts write their lines."
  value       = { for name, group in aws_cloudwatch_log_group.part : name => group.name }
}

# A role for each tenant of `tenant_roles`, for people or machines that work on that tenant alone, with the commands or the
# library: it has what ../iam-policy-tenant.json and ../iam-policy-tenant-privacy.json say, and no task has it.

locals {
  tenant_policy_files = { work = "iam-policy-tenant.json", privacy = "iam-policy-tenant-privacy.json" }
  tenant_policies = {
    for pair in setproduct(keys(local.tenant_policy_files), keys(var.tenant_roles)) :
    "${pair[0]}-${pair[1]}" => { file = local.tenant_policy_files[pair[0]], tenant = pair[1] }
  }
}

data "aws_iam_policy_document" "tenant_may_assume" {
  for_each = var.tenant_roles

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = each.value
    }
  }
}

resource "aws_iam_role" "tenant" {
  for_each = var.tenant_roles

  name               = "${var.name}-tenant-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.tenant_may_assume[each.key].json
}

resource "aws_iam_role_policy" "tenant" {
  for_each = local.tenant_policies

  name = each.key
  role = aws_iam_role.tenant[each.value.tenant].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for statement in jsondecode(replace(local.policies_6[each.value.file], "<TENANT>", each.value.tenant)).Statement : statement
      if var.kms_key_arn != null || !strcontains(jsonencode(statement), "kms:")
    ]
  })
}

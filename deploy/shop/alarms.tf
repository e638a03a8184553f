# When people are called. The metrics are those that the jobs write into their log (gata_assets/shop/events/metrics.py).

locals {
  namespace = "Gata/Shop"
  by_stage  = { curate = "raw-to-curated", publish = "curated-to-prod", expire = "parked-to-quarantined" }

  # Percentages over an hour, from sums: a mean of rates would count a small file as much as a large one.
  rates = {
    error_rate              = { part = "FailedEvents", whole = "Events", most = 5 }
    validation_failure_rate = { part = "RejectedRecords", whole = "Records", most = 10 }
  }
  rates_by_stage = merge([
    for rate, parts in local.rates : { for job, stage in local.by_stage : "${rate} ${job}" => merge(parts, { rate = rate, job = job, stage = stage }) }
  ]...)
  duration_seconds = 1800
}

resource "aws_cloudwatch_metric_alarm" "rate" {
  for_each = local.rates_by_stage

  alarm_name          = "${var.name}-${each.value.job}-${replace(each.value.rate, "_", "-")}"
  alarm_description   = "${each.value.part} of ${each.value.stage} are more than ${each.value.most} % of ${each.value.whole} in an hour."
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.most
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.shop["operations"].arn]

  metric_query {
    id          = "rate"
    expression  = "IF(whole > 0, 100 * part / whole, 0)"
    label       = each.value.rate
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { part = each.value.part, whole = each.value.whole }

    content {
      id = metric_query.key

      metric {
        namespace   = local.namespace
        metric_name = metric_query.value
        dimensions  = { stage = each.value.stage }
        period      = 3600
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.by_stage

  alarm_name          = "${var.name}-${each.key}-duration"
  alarm_description   = "An event of ${each.value} took more than 30 minutes."
  comparison_operator = "GreaterThanThreshold"
  threshold           = local.duration_seconds
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.shop["operations"].arn]
  namespace           = local.namespace
  metric_name         = "ProcessingDuration"
  dimensions          = { stage = each.value }
  period              = 300
  statistic           = "Maximum"
}

resource "aws_cloudwatch_metric_alarm" "messages" {
  for_each = aws_sqs_queue.shop

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "There are messages in the queue ${each.key}: what failed is to be processed again."
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.shop["operations"].arn]
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.name }
  period              = 300
  statistic           = "Maximum"
}

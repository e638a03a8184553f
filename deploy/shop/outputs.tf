output "buckets" {
  description = "The buckets: AWS DMS writes into `raw`, Athena reads `prod`."
  value       = { for name, bucket in aws_s3_bucket.shop : name => bucket.bucket }
}

output "glue_database" {
  description = "The database of the tables for analysts."
  value       = aws_glue_catalog_database.shop.name
}

output "queues" {
  description = "The queues of what failed: SHOP_DLQ_URL for `gata shop replay`."
  value       = { for name, queue in aws_sqs_queue.shop : name => queue.url }
}

output "job_queue" {
  description = "The job queue, for `aws batch submit-job`."
  value       = aws_batch_job_queue.shop.name
}

output "replay_job" {
  description = "The job definition that processes dead letters again."
  value       = aws_batch_job_definition.shop["replay"].name
}

output "url" {
  description = "Where it answers; /v1/chat/completions and the rest are below it"
  value       = aws_lambda_function_url.here.function_url
}

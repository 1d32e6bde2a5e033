resource "aws_lambda_function_url" "here" {
  function_name      = aws_lambda_function.instance.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "NONE"
  invoke_mode        = "RESPONSE_STREAM"
}

# AWS lets everybody through to the gateway, which asks for an API key. Since October
# 2025 that takes two statements. The provider adds the first one with the URL. For the
# second it has no condition before 6.29, and without `InvokedViaFunctionUrl` anybody
# could invoke the function past its URL: so CloudFormation adds that one.
resource "aws_cloudformation_stack" "public" {
  name = "chat-url"
  template_body = jsonencode({
    "Resources" = {
      "InvokeThroughUrl" = {
        "Type" = "AWS::Lambda::Permission"
        "Properties" = {
          "FunctionName"          = aws_lambda_alias.live.arn
          "Principal"             = "*"
          "Action"                = "lambda:InvokeFunction"
          "InvokedViaFunctionUrl" = true
        }
      }
    }
  })
}

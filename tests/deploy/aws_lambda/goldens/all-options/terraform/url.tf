resource "aws_lambda_function_url" "here" {
  function_name      = aws_lambda_function.instance.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "AWS_IAM"
  invoke_mode        = "BUFFERED"
}

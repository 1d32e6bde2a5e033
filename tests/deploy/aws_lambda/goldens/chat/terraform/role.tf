data "aws_caller_identity" "here" {}

resource "aws_iam_role" "instance" {
  name_prefix = "chat-"
  assume_role_policy = jsonencode({
    "Version" = "2012-10-17"
    "Statement" = [
      {
        "Effect" = "Allow"
        "Principal" = {
          "Service" = "lambda.amazonaws.com"
        }
        "Action" = "sts:AssumeRole"
      },
    ]
  })
}

# An instance may write its own log and nothing else. Lambda itself pulls the image.
resource "aws_iam_role_policy" "instance" {
  name = "instance"
  role = aws_iam_role.instance.id
  policy = jsonencode({
    "Version" = "2012-10-17"
    "Statement" = [
      {
        "Sid"      = "WriteItsOwnLog"
        "Effect"   = "Allow"
        "Action"   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        "Resource" = "arn:aws:logs:us-east-1:${data.aws_caller_identity.here.account_id}:log-group:/aws/lambda/chat:*"
      },
    ]
  })
}

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
      {
        "Sid"      = "LambdaConnectsIt"
        "Effect"   = "Allow"
        "Action"   = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"]
        "Resource" = "*"
      },
      {
        "Sid"      = "ItsCodeDoesNot"
        "Effect"   = "Deny"
        "Action"   = ["ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses"]
        "Resource" = "*"
        "Condition" = {
          "ArnEquals" = {
            "lambda:SourceFunctionArn" = "arn:aws:lambda:us-east-1:${data.aws_caller_identity.here.account_id}:function:chat"
          }
        }
      },
      {
        "Sid"      = "ReadModels"
        "Effect"   = "Allow"
        "Action"   = ["elasticfilesystem:ClientMount"]
        "Resource" = "arn:aws:elasticfilesystem:us-east-1:123456789012:file-system/fs-0123456789abcdef0"
        "Condition" = {
          "StringEquals" = {
            "elasticfilesystem:AccessPointArn" = "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"
          }
        }
      },
    ]
  })
}

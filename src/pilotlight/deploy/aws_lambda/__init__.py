"""AWS Lambda: a container image behind a function URL, one request at a time in each environment.

`check`, `render` and `wanted` are pure; `live` talks to AWS.
"""

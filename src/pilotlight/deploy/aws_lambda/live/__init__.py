"""What talks to AWS. Imported only by verbs that do: boto3 is an extra, and slow to import."""

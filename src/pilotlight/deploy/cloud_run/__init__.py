"""Google Cloud Run: an instance serves many requests at once, and none run where nobody asks.

`limits` refuses what Cloud Run would, `service` says what shall be there, `knative`, `terraform`
and `readme` write it down, `attempt` brings it about by `operations` of the official client.
"""

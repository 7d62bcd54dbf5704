"""Chat messages through Slack's incoming webhooks."""

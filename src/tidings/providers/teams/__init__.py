"""Chat messages through the webhooks of Microsoft Teams."""

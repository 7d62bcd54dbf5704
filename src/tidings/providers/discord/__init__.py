"""Chat messages through Discord's webhooks."""

"""Email through Mailgun's messages API."""

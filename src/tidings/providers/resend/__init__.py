"""Email through Resend's API."""

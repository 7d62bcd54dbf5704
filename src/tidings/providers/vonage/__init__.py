"""Text messages through Vonage's SMS API."""

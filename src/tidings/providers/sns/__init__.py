"""Text messages through Amazon SNS."""

"""Email through Postmark's API."""

"""Email through Amazon SES, API version 2."""

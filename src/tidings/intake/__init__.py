"""Accept: validate, plan and store a notification."""

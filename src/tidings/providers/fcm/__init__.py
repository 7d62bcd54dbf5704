"""Push messages through Firebase Cloud Messaging."""

"""Template and data become a message, per channel."""

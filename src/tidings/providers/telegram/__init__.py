"""Chat messages by a Telegram bot."""

"""Text messages through Twilio's Programmable Messaging."""

"""Email through the Mail Send API of Twilio SendGrid."""

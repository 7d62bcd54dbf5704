"""What tests and plug-in authors share."""

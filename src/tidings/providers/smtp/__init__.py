"""SMTP: any mail server that takes mail by submission or relay (RFC 5321, RFC 6409)."""

"""Signed calls to the recipient's own HTTP endpoint, as Standard Webhooks describes them."""

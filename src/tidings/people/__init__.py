"""Users, their devices, and what must not be sent to them."""

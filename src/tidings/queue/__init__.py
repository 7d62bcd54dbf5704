"""Who works on what next."""

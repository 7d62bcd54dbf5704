"""Push messages to Apple's devices, without another service between."""

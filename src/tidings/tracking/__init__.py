"""What is learnt after sending: callbacks in, receipts applied, and what follows from them."""

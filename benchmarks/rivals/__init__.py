"""What people use today, each set up as its own documentation recommends for production."""

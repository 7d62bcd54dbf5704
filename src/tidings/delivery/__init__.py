"""Claim, render, send, settle."""

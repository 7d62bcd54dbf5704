"""A stand-in for every vendor, on this machine: it takes what would be sent, shows it, and calls back.

Vendors are plain functions from a call to an answer, one file each; the rest is shared.
"""

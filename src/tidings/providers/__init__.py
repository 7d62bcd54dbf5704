"""One folder per vendor or protocol; catalogue.py names them all."""

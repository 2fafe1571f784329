"""Fetches the revocation lists that served chains name: bounded, over plain http."""

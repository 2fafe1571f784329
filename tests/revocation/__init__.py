"""Tests of what fetches revocation lists."""

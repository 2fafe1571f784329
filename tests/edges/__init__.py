"""Tests of the edges, with a DNS server that they share."""

"""Providers to edges: fixed addresses, host names, DNS per server and client subnet."""

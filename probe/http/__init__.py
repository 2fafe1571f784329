"""HTTP/1.1 and HTTP/2 calls over the shared transport."""

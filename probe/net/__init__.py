"""Names and addresses as text, and the one door to httpx."""

"""Names and addresses as text, processes for long work, and the one door to httpx."""

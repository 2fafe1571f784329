"""What is known of everything probed; each result ends here."""

"""Pure logic over results: confirmation, consensus, diagnosis, vantage."""

"""Static lists, file_sd and http_sd to targets."""

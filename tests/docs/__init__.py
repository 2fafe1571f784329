"""What the pages for users show: commands, snippets, messages."""

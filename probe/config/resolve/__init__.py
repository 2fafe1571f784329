"""From shapes to specs: names that exist, times that fit, texts whose placeholders have values."""

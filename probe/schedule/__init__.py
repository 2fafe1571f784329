"""What runs when (pure), and the runner that sleeps and calls."""

"""Both incidents replayed by real agents against the lab."""

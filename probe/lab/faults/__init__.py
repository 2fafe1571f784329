"""Every way in which the lab can be broken, and what a prober must make of it."""

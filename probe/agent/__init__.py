"""Builds the parts, opens the top nursery; reload and shutdown."""

"""One attempt against one edge, or one run of a flow: spec and edge in, result out."""

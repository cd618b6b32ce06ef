"""The files beside the graphs that other runtimes and people read."""

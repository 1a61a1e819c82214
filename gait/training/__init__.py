"""Training loops, one a framework: each readable in one page."""

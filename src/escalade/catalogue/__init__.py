"""Cards of what exists: bases, objectives, rungs, metrics, hardware, prices. Data and arithmetic, no torch."""

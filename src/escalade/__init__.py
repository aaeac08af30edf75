"""escalade: from a task to a model that provably does it."""

"""What can be learnt: one short file an objective; ``catalogue/objectives.py`` has their cards."""

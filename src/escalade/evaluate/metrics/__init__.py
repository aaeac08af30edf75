"""One file a family of metrics; each class is named by a card in ``catalogue/metrics.py``."""

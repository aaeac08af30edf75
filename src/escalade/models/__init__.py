"""Models: described, loaded, made from scratch, given heads and adapters, saved.

``describe`` and ``hub`` need no torch.
"""

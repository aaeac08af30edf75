"""What happened: runs, artifacts, lineage, leases, events. It remembers and never acts."""

from escalade.ledger.run import Measured, Run, identity
from escalade.ledger.store import Bench, Fault, Ledger

__all__ = ["Bench", "Fault", "Ledger", "Measured", "Run", "identity"]

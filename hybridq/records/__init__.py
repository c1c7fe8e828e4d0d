"""What commands leave in their folders, checked when it is read again.

Each kind of file has one description here, and one reader; a damaged or edited file is told in one
line with the place in it and the remedy.
"""

from hybridq.records.record import Record, check_record

__all__ = ["Record", "check_record"]

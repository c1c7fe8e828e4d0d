"""Set sections, tables and drawings as one HTML page."""

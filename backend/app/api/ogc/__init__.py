"""OGC API - Features: the standard's own addresses, documents and pages over sites."""

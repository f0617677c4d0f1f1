"""Open recordings of every format, checked before anything decodes them; their samples page by page."""

"""Drive the flow over many cases; one bad case never stops the rest."""

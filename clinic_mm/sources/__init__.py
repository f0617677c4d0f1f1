"""Read hospital files: check, place in time, refuse with a reason. Files in; Evidence, Rejected, signals out."""

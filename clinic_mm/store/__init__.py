"""What people do with answers: states, locks, opinions, decisions, signatures, users, and the audit of all of it."""

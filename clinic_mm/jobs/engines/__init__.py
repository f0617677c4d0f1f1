"""Engines: where units of work are done. Each is one file that knows nothing of cases, ledger or shards.

base       what an engine is, and the names of those there are
inline     in the driver's own process
local      worker processes on this machine
"""

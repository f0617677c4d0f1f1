"""Join evidence by patient and time into cases; split by patient; keep the manifest on disk. Copies no pixels."""

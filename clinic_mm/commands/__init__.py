"""What each command does, by stage: a function per command, no logic. clinic_mm/cli.py registers them."""

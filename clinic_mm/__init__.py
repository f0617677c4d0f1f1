"""clinic_mm: clinical multimodal diagnostics. A case comes in as files and leaves as a calibrated, explained answer.

Not a medical device. Importing this package is cheap: it loads neither torch nor MONAI nor MNE.
"""

__version__ = "0.1.0"

"""Make volumes of Hounsfield units of slices, multi-frame files and NIfTI: checked, repaired or refused."""

"""The composition root: settings become parts, wired here and nowhere else."""

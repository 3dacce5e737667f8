"""booper: a self-hosted HTTP job scheduler. The public names, and nothing else."""

__version__ = "0.1.0"

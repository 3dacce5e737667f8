"""The contract's JSON: how resources look, what a target receives, times, and what is hidden."""

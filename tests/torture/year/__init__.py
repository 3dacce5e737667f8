"""A simulated year: what is asked of it, who receives it, and who reads the record afterwards."""

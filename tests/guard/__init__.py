"""Tests of booper/guard/: which URL and which address may be reached."""

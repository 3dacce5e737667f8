"""Benchmarks of booper beside its own limits and its peers: `python -m tests.benchmarks`.

Never part of the tests. Beyond booper's own dependencies it needs aiohttp; peers are installed into
a cache folder, each when it is first measured.
"""

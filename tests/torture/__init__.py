"""Long tests that try to break booper: `python -m tests.torture`.

Each module of `guarantees/` tries one guarantee and says in a line whether it holds. The normal
tests run a short form of each (`tests/whole/test_torture.py`), unless they show the same anyway.
"""

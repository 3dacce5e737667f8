"""The nouns of booper and the rules about them: no I/O, no clock, no randomness of its own.

A value is a frozen `msgspec.Struct`, here as in `wire` and `store`.
"""

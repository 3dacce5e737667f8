"""Moving all of a database to another: from a SQLite file to PostgreSQL, or back.

What is moved and in which shape is in `tables`, the steps are in `mover`, and each database is an
end that can be read and filled (`ends`).
"""

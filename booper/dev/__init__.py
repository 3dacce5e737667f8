"""`booper dev`: a booper to write programs against, whose time and targets are the developer's."""

"""`booper dev`: a local booper for development, whose time and targets the developer sets."""

"""Several nodes over one PostgreSQL, what is done to them, and the sink that judges them."""

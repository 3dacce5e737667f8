"""Which URL and which address a request may reach, judged here alone."""

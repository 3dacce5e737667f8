"""Where jobs are kept: `base` says what the rest needs of a database, `sqlite` gives it."""

"""What a noun of `store.base` does by the rules, whatever the database is: all but its SQL."""

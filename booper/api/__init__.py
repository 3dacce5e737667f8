"""The REST API of the contract: one file per resource over the operations table in `routes`."""

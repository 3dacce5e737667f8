"""The operations, a module for each resource: each is defined once, as the call that it makes."""

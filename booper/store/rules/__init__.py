"""What creates, claims, results and changes write: decided once, over `store.transaction`."""

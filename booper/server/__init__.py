"""The HTTP server under the API: listeners, limits of what comes in, and how responses leave."""

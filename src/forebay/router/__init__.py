"""The router stage: a reverse proxy that lets GraphQL traffic through unchanged and reports what it sees."""

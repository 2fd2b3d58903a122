"""Inside the router or server: analyses operations, tallies their requests, exports the tallies."""

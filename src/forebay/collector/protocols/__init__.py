"""The protocols that clients speak, each turned into shapes and tallies by pure functions."""

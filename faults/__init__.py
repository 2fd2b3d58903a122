"""The fault harness: real processes under continuous traffic, faults injected one after the other, exact ledgers."""

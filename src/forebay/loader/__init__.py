"""The loader: from the journal to the store, exactly once, at the pace that the store can take."""

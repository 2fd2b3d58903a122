"""The journal: the durable, ordered buffer between collectors and loaders."""

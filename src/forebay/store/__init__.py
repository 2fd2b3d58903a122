"""The store: ClickHouse, in process (chDB) or as a server, behind one adapter."""

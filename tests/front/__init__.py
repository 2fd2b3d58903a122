"""ClickHouse's HTTP interface over chDB, in a process of its own, with faults that a test switches on."""

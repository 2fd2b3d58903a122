"""The faults, by what they befall.  Importing a module puts its own on the list."""

from . import clickhouse, disk, kafka, links, processes, topics

__all__ = ["clickhouse", "disk", "kafka", "links", "processes", "topics"]

"""Puts the stages together: the only place that knows which adapters they run on.

`embedded`: all stages in one process, on SQLite and chDB.  `fleet`: each stage a process of its
own, as many as are needed, joined by Kafka and ClickHouse alone.
"""

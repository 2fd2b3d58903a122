"""The collector: takes reports in over HTTP and acknowledges them when they are durable."""

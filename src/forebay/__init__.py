"""Forebay: a telemetry pipeline for GraphQL schema usage."""

__version__ = "0.1.0"

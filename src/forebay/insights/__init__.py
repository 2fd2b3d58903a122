"""Typed questions about schema usage, their answers, and how far each answer can be trusted."""

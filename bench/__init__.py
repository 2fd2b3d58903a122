"""What Forebay costs, as ratios of two things measured side by side: `python -m bench [NAME …]`."""

"""Pure vocabulary of the pipeline: records, shapes, tallies, histograms.  No clock, no I/O."""

"""Analysis of finished runs: summaries, comparisons and provenance."""

"""parts → decisions: what a layer leaves out, and the reason of every single case."""

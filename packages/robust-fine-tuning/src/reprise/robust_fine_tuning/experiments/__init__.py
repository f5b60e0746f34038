"""One file per experiment: settings, cells, measure, plot, claims."""

"""Reports: their periods, figures and pages."""

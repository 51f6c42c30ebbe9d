"""report.html: one file for a reviewer, without script and without request."""

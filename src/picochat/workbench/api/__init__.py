"""One module a surface: a table of routes, each with the record of its query or body and its command-line twin."""

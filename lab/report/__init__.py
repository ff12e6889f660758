"""The report of a run: pictures, table, notebook and page."""

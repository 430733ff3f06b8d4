"""Several places filled at once: rankings to pick from, and slots shown side by side."""

"""A report's page: checks, charts, thumbnails, titles and templates."""

"""The HTTP edge: strict bodies, problem documents, limits, languages, and the page shell."""

"""The chapters of the story: what people do, and what has to come of it. Each notes it in the book."""

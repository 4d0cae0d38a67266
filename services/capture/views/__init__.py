"""Views: how often forms were drawn, by people and by robots."""

"""Resources: what a bait gives, and the pages that give it."""

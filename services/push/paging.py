"""How long a page of push's lists is."""

PAGE = 50
MOST = 100

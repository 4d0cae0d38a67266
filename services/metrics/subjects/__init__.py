"""What a number is about: deliveries, leads, and the people behind them."""

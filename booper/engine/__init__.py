"""What makes jobs run: the timers, the loop, the delivery and its guard."""

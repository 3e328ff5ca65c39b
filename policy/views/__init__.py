"""The pages of the ramp: readiness, backtests, shadow, flip, freezes."""

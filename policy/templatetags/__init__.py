"""Filters of the ramp's templates."""

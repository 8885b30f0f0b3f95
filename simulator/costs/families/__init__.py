"""Families of annual cost of one user; loaded together, since some are composed of any other."""

from . import union as union

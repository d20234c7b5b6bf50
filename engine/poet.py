"""The public name of the façade: ``from engine.poet import Poet``."""

from engine.generation.poet import RELEASED, Poet

__all__ = ["RELEASED", "Poet"]

"""The public conformance suite: what every method, objective and parameterisation owes, checked on toy data.

For a method of your own, in a test::

    from attar.checks import check_method

    check_method(my_method(model="convnet3-16"))

Each check raises an AssertionError that says which promise was broken.
"""

from attar.checks.methods import check_method
from attar.checks.parts import check_objective, check_synthetic

__all__ = ["check_method", "check_objective", "check_synthetic"]

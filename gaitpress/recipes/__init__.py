"""Recipes: the published settings of a dataset or a study, as what differs from another recipe.

A recipe is a YAML file. ``from`` names the recipe that it starts from, ``without`` lists keys that it removes there, and all
else stands where it stands in params.yaml: sections are merged, every other value replaces the former one as a whole. A
recipe without ``from`` is a whole params.yaml. Comments go with the keys that they stand beside or above.
"""

from gaitpress.recipes.composing import FOLDER, available, load, path_of, published, whole

__all__ = ["FOLDER", "available", "load", "path_of", "published", "whole"]

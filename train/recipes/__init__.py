"""
Recipes, one file each. The docstring of each has its command, its measured time and its score.
"""

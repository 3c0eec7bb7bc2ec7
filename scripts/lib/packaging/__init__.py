"""Packages: the final set as folders that trainers' own loaders read, one format a trainer.

`formats` is what all share, `preparing` what may be done to an image on its way, `folders` the base
of formats with a file an image, `shards` of those that hold many images a file; docs/packages.md
says what each trainer needs.
"""

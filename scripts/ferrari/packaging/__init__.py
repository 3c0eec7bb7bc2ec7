"""Packages: the final set as folders that trainers' own loaders read, one module for each trainer.

`base` is what all formats share, `image_preparation` how an image may be changed for a package,
`folder_formats` the base of formats with one file for each image, `shard_formats` of those with
many images in a file. docs/packages.md says what each trainer needs.
"""

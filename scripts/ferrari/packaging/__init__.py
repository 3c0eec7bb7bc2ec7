"""Packages: the final set as folders that trainers' own loaders read, one file a trainer.

`base` is what all share, `image_preparation` what may be done to an image on its way,
`folder_formats` the base of formats with a file an image, `shard_formats` of those with many images
a file; docs/packages.md says what each trainer needs.
"""

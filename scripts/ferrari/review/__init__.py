"""A person's decisions about clips, crops, cut-outs, images and captions:
`review/decisions.csv`.
"""

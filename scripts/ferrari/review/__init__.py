"""What a person decides about clips, crops, cut-outs, images and captions: `review/decisions.csv`."""

"""What a person decides of clips, crops, cut-outs, images and captions: `review/decisions.csv`."""

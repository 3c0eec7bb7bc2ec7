"""Image files, PNG, boxes, and whether an image matches its mask."""

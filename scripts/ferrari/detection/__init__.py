"""Stage 2: detections and faces in a clip's pictures, second looks, and the rows of frames."""

"""Who is where in a clip: its pictures searched, faces, second looks, and the rows of frames."""

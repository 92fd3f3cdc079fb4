"""The stitch as a program of its own: reads a plan, fetches clips, does the media work, uploads the film."""

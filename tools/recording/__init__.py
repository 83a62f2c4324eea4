"""Records a real terminal session as an animated SVG: `make recording`."""

"""What people do in a message: follow links, draw the pixel, leave."""

"""Forms: what a visitor may type, however it comes in, and the script that draws a form in place."""

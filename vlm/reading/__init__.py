"""Where on a picture the music stands: staves and systems, found and cut out."""

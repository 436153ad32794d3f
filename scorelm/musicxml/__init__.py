"""MusicXML <-> data model, directly, by lxml."""

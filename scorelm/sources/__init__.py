"""Readers of what is no MusicXML: MIDI, ABC and Humdrum become music21 scores, with notices of every guess and loss."""

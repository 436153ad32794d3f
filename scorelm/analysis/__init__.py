"""What a musician would count in a score: voice leading, keys and cadences, histograms, what is copied."""

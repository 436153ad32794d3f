"""Pictures of scores with what they show: rendered from any score that scorelm reads, or taken from NOTA."""

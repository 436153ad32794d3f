"""A vision-language model that is there already is adapted to scores: LoRA, in the three phases of the student."""

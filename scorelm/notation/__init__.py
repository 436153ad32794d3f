"""Score text: the data model, the writer, the strict reader and what works on them. Standard library only."""

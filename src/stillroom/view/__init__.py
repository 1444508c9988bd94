"""How a run looks to people: words for the terminal, a page for the browser."""

"""The data flow, on Ray Data: from a manifest of (content, style, params) to pictures and a table of results."""

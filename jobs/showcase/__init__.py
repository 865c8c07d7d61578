"""The pictures of the README: a contact sheet, the report's screenshot, and a recorded terminal."""

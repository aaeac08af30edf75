"""From a model to something that ships: export, the release gate, the server."""

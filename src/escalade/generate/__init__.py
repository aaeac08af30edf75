"""The Samplers: text from a model in memory, from an OpenAI-compatible API, or from a table of known answers."""

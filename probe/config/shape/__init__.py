"""The shape of the configuration file, as pydantic models: what may stand where."""

"""What the operator chose: `schema` names every key, `load` fills it from file, environment and command line."""

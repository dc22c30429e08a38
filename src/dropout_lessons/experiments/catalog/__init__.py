"""The catalog: each file is an experiment, ``EXPERIMENT``, found by the file's name."""

"""Dropout, measured."""

"""ENRGDAQ: data acquisition for neutrino and other physics experiments."""

__version__ = "0.1.0"

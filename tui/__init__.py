"""The terminal console of ENRGDAQ: a client of a supervisor's control socket, and no more."""

"""The compiled state machine on virtual time, with a faulty network, faulty peers and a checker of what must hold."""

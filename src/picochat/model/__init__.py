"""The network: configuration, arithmetic of its size, layers, initialisation and losses."""
